/** The log as it is: every event, newest first, narrowed by what stands in the address. */
import type { FormEvent, ReactNode } from "react";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { RefreshCw, ScrollText } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/ui/Button";
import { Field } from "@/components/ui/Field";
import { IconButton } from "@/components/ui/IconButton";
import { Empty, Loaded, MoreButton } from "@/components/ui/Loaded";
import { eventsQuery, type EventFilter } from "../queries";
import type { OperationsSearch } from "../search";
import { EventItem } from "./EventItem";

/** Offered while typing; the log may hold more. */
const AGGREGATES = ["api_key", "channel", "device", "reservation", "session", "user", "wallet"];

const EXAMPLE = "wallet.held";

export function EventsSection(): ReactNode {
  const { t } = useTranslation("operations");
  const { type, id, event }: OperationsSearch = useSearch({ strict: false });
  const filter: EventFilter = { type, id, event };
  const query = useInfiniteQuery(eventsQuery(filter));
  const items = query.data?.pages.flatMap((page) => page.items) ?? [];
  const filtered = type !== undefined || id !== undefined || event !== undefined;
  const emptyFiltered = query.hasNextPage ? t("events.emptySoFar") : t("events.emptyFiltered");
  const emptyText = filtered ? emptyFiltered : t("events.emptyText");
  return (
    <section className="flex flex-col gap-4" aria-label={t("sections.events")}>
      <Filters key={JSON.stringify(filter)} filter={filter} filtered={filtered}>
        <IconButton label={t("events.refresh")} onClick={() => void query.refetch()}>
          <RefreshCw aria-hidden className={query.isFetching ? "animate-spin motion-reduce:animate-none" : ""} />
        </IconButton>
      </Filters>
      <Loaded query={query} texts="operations" height="22rem">
        {items.length === 0 ? (
          <Empty icon={ScrollText} title={t("events.emptyTitle")} text={emptyText} />
        ) : (
          <ol className="panel divide-line divide-y overflow-hidden" aria-label={t("events.list")} aria-busy={query.isPlaceholderData}>
            {items.map((item) => (
              <EventItem key={item.position} event={item} />
            ))}
          </ol>
        )}
        <MoreButton query={query} />
      </Loaded>
    </section>
  );
}

function Filters({ filter, filtered, children }: { filter: EventFilter; filtered: boolean; children: ReactNode }): ReactNode {
  const { t } = useTranslation("operations");
  const navigate = useNavigate();
  const go = (search: OperationsSearch): void => void navigate({ to: "/operations/$section", params: { section: "events" }, search });
  const apply = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    const search: OperationsSearch = {};
    for (const name of ["type", "id", "event"] as const) {
      const value = data.get(name);
      if (typeof value === "string" && value.trim() !== "") search[name] = value.trim();
    }
    go(search);
  };
  const plain = { autoComplete: "off", autoCapitalize: "none", spellCheck: false };
  return (
    <form role="search" aria-label={t("events.filters")} className="grid items-end gap-3 sm:grid-cols-2 lg:grid-cols-[1fr_1.6fr_1fr_auto]" onSubmit={apply}>
      <Field label={t("events.aggregateType")} name="type" list="aggregate-types" defaultValue={filter.type ?? ""} {...plain} />
      <datalist id="aggregate-types">
        {AGGREGATES.map((name) => (
          <option key={name}>{name}</option>
        ))}
      </datalist>
      <Field label={t("events.aggregateId")} name="id" defaultValue={filter.id ?? ""} {...plain} />
      <Field label={t("events.eventType")} name="event" placeholder={EXAMPLE} defaultValue={filter.event ?? ""} {...plain} />
      <div className="flex min-h-11 items-center gap-1">
        <Button type="submit">{t("events.apply")}</Button>
        {filtered && (
          <Button kind="quiet" onClick={() => go({})}>
            {t("events.clear")}
          </Button>
        )}
        {children}
      </div>
    </form>
  );
}
