/** The last calls, each with everybody who was asked for it and what became of it. */
import type { ReactNode } from "react";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { ArrowLeft, List, RefreshCw } from "lucide-react";
import { useTranslation } from "react-i18next";
import { buttonClass } from "@/components/ui/Button";
import { IconButton } from "@/components/ui/IconButton";
import { Empty, Loaded, MoreButton } from "@/components/ui/Loaded";
import { focusHeading } from "@/features/operations/parts/focus-heading";
import { channelsQuery } from "@/features/operations/queries";
import { CallItem } from "./CallItem";
import { OUTCOMES, searchOf, type StatisticsFilter } from "./filter";
import { FilterChips } from "./FilterChips";
import { callsQuery, statisticsQuery } from "./queries";

export function CallsPage({ filter }: { filter: StatisticsFilter }): ReactNode {
  const { t } = useTranslation("relay");
  const navigate = useNavigate();
  const query = useInfiniteQuery(callsQuery(filter));
  const channels = useQuery(channelsQuery());
  // The list does not say in which currency it is.
  const figures = useQuery(statisticsQuery({ period: filter.period, by: "channel" }, "channel"));
  const calls = query.data?.pages.flatMap((page) => page.items) ?? [];
  const choose = (next: StatisticsFilter): void =>
    void navigate({ to: "/operations/$section", params: { section: "statistics" }, search: searchOf(next, "calls"), replace: true });
  const { outcome: _outcome, ...anyOutcome } = filter;
  return (
    <section className="flex flex-col gap-5" aria-label={t("calls.title")}>
      <div className="flex items-center gap-2">
        <Link
          to="/operations/$section"
          params={{ section: "statistics" }}
          search={searchOf(filter)}
          aria-label={t("calls.back")}
          title={t("calls.back")}
          className={buttonClass({ kind: "quiet", size: "icon" })}
        >
          <ArrowLeft aria-hidden />
        </Link>
        <h2 ref={focusHeading} tabIndex={-1} className="font-display min-w-0 flex-1 truncate text-2xl outline-none">
          {t("calls.title")}
        </h2>
        <IconButton label={t("calls.refresh")} onClick={() => void query.refetch()}>
          <RefreshCw aria-hidden className={query.isFetching ? "animate-spin motion-reduce:animate-none" : ""} />
        </IconButton>
      </div>
      <p className="text-muted max-w-2xl text-sm text-pretty">{t("calls.intro")}</p>
      <div role="group" aria-label={t("calls.outcome")} className="segments">
        <button type="button" className="segment" aria-pressed={filter.outcome === undefined} onClick={() => choose(anyOutcome)}>
          {t("outcome.all")}
        </button>
        {OUTCOMES.map((outcome) => (
          <button key={outcome} type="button" className="segment" aria-pressed={outcome === filter.outcome} onClick={() => choose({ ...filter, outcome })}>
            {t(`outcome.${outcome}`)}
          </button>
        ))}
      </div>
      <FilterChips filter={filter} onChange={choose} />
      <Loaded query={query} texts="relay" height="20rem">
        {calls.length === 0 ? (
          <Empty icon={List} title={t("calls.emptyTitle")} text={t("calls.emptyText")} />
        ) : (
          <ol className="panel divide-line divide-y overflow-hidden" aria-label={t("calls.list")} aria-busy={query.isPlaceholderData}>
            {calls.map((call) => (
              <CallItem key={call.id} call={call} channels={channels.data ?? []} currency={figures.data?.currency ?? null} />
            ))}
          </ol>
        )}
        <MoreButton query={query} />
      </Loaded>
    </section>
  );
}
