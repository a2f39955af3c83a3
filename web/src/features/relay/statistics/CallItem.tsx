/** One call: a line that opens to its story, from the first who was asked to what it cost. */
import { useState, type ReactNode } from "react";
import { Link } from "@tanstack/react-router";
import { ChevronRight } from "lucide-react";
import { useTranslation } from "react-i18next";
import { useProblemText } from "@/i18n/problems";
import { Badge, ShortId, Time } from "@/features/operations/parts/values";
import type { Channel, RecordedCall } from "@/features/operations/types";
import { inputTokens, outputTokens } from "./figures";
import { OUTCOMES } from "./filter";
import { Tries } from "./Tries";
import { useFormats } from "./values";

interface Props {
  call: RecordedCall;
  channels: readonly Channel[];
  /** Null while it is not known. */
  currency: string | null;
}

const TONES = { completed: "good", cancelled: "plain", failed: "bad", refused: "bad" } as const;

function OutcomeBadge({ outcome }: { outcome: string }): ReactNode {
  const { t } = useTranslation("relay");
  const known = OUTCOMES.find((each) => each === outcome);
  return known === undefined ? <Badge>{outcome}</Badge> : <Badge tone={TONES[known]}>{t(`outcome.${known}`)}</Badge>;
}

export function CallItem({ call, channels, currency }: Props): ReactNode {
  const { t } = useTranslation("relay");
  const { duration, money } = useFormats();
  const [open, setOpen] = useState(false);
  const asked = call.model ?? t("nothing.model");
  return (
    <li>
      <details className="event-row" onToggle={(toggled) => setOpen(toggled.currentTarget.open)}>
        <summary>
          <ChevronRight aria-hidden />
          <span className="flex min-w-48 flex-1 flex-col">
            <span className="text-sm font-medium wrap-anywhere">{asked}</span>
            <span className="text-muted text-xs wrap-anywhere">
              {call.username === "" ? `…${call.user_id.slice(-8)}` : call.username}
              {call.channel != null && ` → ${call.channel}`}
              {call.tries.length > 1 && ` · ${t("calls.tries", { count: call.tries.length })}`}
            </span>
          </span>
          <OutcomeBadge outcome={call.outcome} />
          <span className="text-muted text-xs tabular-nums max-md:pl-7 md:w-20 md:text-right">{duration(call.duration_ms)}</span>
          {currency !== null && <span className="text-xs tabular-nums md:w-24 md:text-right">{money(call.charged_nanos, currency)}</span>}
          <span className="text-muted text-xs">
            <Time at={call.ended_at} seconds />
          </span>
        </summary>
        {open && <Story call={call} channels={channels} currency={currency} />}
      </details>
    </li>
  );
}

function Story({ call, channels, currency }: Props): ReactNode {
  const { t } = useTranslation("relay");
  const { duration, count, money } = useFormats();
  const problemText = useProblemText("relay");
  const facts = [
    { name: t("calls.surface"), value: call.stream ? t("calls.streamed", { surface: call.surface }) : call.surface },
    ...(call.answered_model == null ? [] : [{ name: t("calls.answered"), value: [call.answered_model, call.upstream_model].filter(Boolean).join(" → ") }]),
    { name: t("figure.duration"), value: duration(call.duration_ms) },
    ...(call.first_output_ms == null ? [] : [{ name: t("figure.firstOutput"), value: duration(call.first_output_ms) }]),
    ...(call.tokens == null
      ? []
      : [{ name: t("figure.tokens"), value: t("figure.inOut", { input: count(inputTokens(call.tokens)), output: count(outputTokens(call.tokens)) }) }]),
    ...(call.basis == null ? [] : [{ name: t("calls.basis"), value: call.basis }]),
    ...(currency === null ? [] : [{ name: t("figure.charged"), value: money(call.charged_nanos, currency) }, { name: t("figure.costColumn"), value: money(call.cost_nanos, currency) }]),
  ];
  return (
    <div className="flex flex-col gap-4 px-4 pt-1 pb-5">
      {call.code != null && (
        <p className="text-danger text-sm">
          <span className="font-mono text-[0.8125rem]">{call.code}</span>
          {problemText(call.code, "") !== problemText("unknown", "") && ` — ${problemText(call.code, "")}`}
        </p>
      )}
      <Tries call={call} channels={channels} />
      <dl className="grid gap-x-8 gap-y-3 text-sm sm:grid-cols-2 lg:grid-cols-4">
        {facts.map(({ name, value }) => (
          <div key={name}>
            <dt className="text-muted text-xs">{name}</dt>
            <dd className="wrap-anywhere tabular-nums">{value}</dd>
          </div>
        ))}
      </dl>
      <p className="flex flex-wrap items-center gap-x-5 gap-y-2 text-sm">
        <ShortId id={call.id} label={t("calls.copyId")} />
        <Link to="/operations/$section" params={{ section: "users" }} search={{ user: call.user_id }} className="link">
          {t("calls.toUser")}
        </Link>
        <Link to="/operations/$section" params={{ section: "statistics" }} search={{ view: "calls", user: call.user_id }} className="link">
          {t("calls.ofUser")}
        </Link>
        {call.code != null && (
          <Link to="/operations/$section" params={{ section: "statistics" }} search={{ view: "calls", code: call.code }} className="link">
            {t("calls.sameCode")}
          </Link>
        )}
      </p>
    </div>
  );
}
