/** One event: a line that opens to everything that is known of it. */
import { useState, type ReactNode } from "react";
import { Link } from "@tanstack/react-router";
import { ChevronRight } from "lucide-react";
import { useTranslation } from "react-i18next";
import { CopyButton } from "@/components/ui/CopyButton";
import { ShortId, Time, useNumber } from "../parts/values";
import type { LoggedEvent } from "../types";
import { Payload } from "./Payload";

/** Aggregates whose id is a person's. */
const OF_USER: ReadonlySet<string> = new Set(["user", "wallet"]);

export function EventItem({ event }: { event: LoggedEvent }): ReactNode {
  const number = useNumber();
  const [open, setOpen] = useState(false);
  return (
    <li>
      <details className="event-row" onToggle={(toggled) => setOpen(toggled.currentTarget.open)}>
        <summary>
          <ChevronRight aria-hidden />
          <span className="min-w-40 flex-1 font-mono text-[0.8125rem] font-medium wrap-anywhere">{event.event_type}</span>
          <span className="text-muted font-mono text-xs" title={event.aggregate_id}>
            …{event.aggregate_id.slice(-8)}
          </span>
          <span className="text-muted text-xs">
            <Time at={event.recorded_at} seconds />
          </span>
          <span className="text-muted w-16 text-right text-xs tabular-nums">{number(event.position)}</span>
        </summary>
        {open && <Details event={event} />}
      </details>
    </li>
  );
}

function Details({ event }: { event: LoggedEvent }): ReactNode {
  const { t } = useTranslation("operations");
  const number = useNumber();
  return (
    <div className="flex flex-col gap-3 px-4 pt-1 pb-4">
      <dl className="grid gap-x-6 gap-y-1 text-sm sm:grid-cols-2">
        <Fact name={t("events.position")} value={number(event.position)} />
        <Fact name={t("events.version")} value={event.event_version} />
        <Fact name={t("events.aggregate")} value={event.aggregate_type}>
          <ShortId id={event.aggregate_id} label={t("events.copyId")} />
        </Fact>
        <Fact name={t("events.sequence")} value={number(event.sequence)} />
        {event.actor != null && (
          <Fact name={t("events.actor")} value={event.actor}>
            <CopyButton text={event.actor} label={t("events.copyActor")} />
          </Fact>
        )}
        {event.command_id != null && (
          <Fact name={t("events.command")} value="">
            <ShortId id={event.command_id} label={t("events.copyCommand")} />
          </Fact>
        )}
      </dl>
      <Payload value={event.payload} label={t("events.payload")} />
      <p className="flex flex-wrap gap-x-5 gap-y-2 text-sm">
        <Link to="/operations/$section" params={{ section: "events" }} search={{ type: event.aggregate_type, id: event.aggregate_id }} className="link">
          {t("events.sameAggregate")}
        </Link>
        <Link to="/operations/$section" params={{ section: "events" }} search={{ event: event.event_type }} className="link">
          {t("events.sameType")}
        </Link>
        {OF_USER.has(event.aggregate_type) && (
          <Link to="/operations/$section" params={{ section: "users" }} search={{ user: event.aggregate_id }} className="link">
            {t("events.toUser")}
          </Link>
        )}
      </p>
    </div>
  );
}

function Fact({ name, value, children }: { name: string; value: string; children?: ReactNode }): ReactNode {
  return (
    <div className="flex min-h-8 items-center gap-2">
      <dt className="text-muted w-28 shrink-0">{name}</dt>
      <dd className="flex min-w-0 items-center gap-1">
        {value !== "" && <span className="wrap-anywhere">{value}</span>}
        {children}
      </dd>
    </div>
  );
}
