import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import type { Figures, Statistics } from "@/features/operations/types";
import { inputTokens, outputTokens } from "./figures";
import { useFormats } from "./values";

function perRequest({ charged_nanos, requests }: Figures): bigint | null {
  return requests === 0 ? null : BigInt(charged_nanos) / BigInt(requests);
}

/** Everything together, in the figures that one looks at first. */
export function Totals({ statistics: { total, currency } }: { statistics: Statistics }): ReactNode {
  const { t } = useTranslation("relay");
  const { count, brief, percent, duration, money } = useFormats();
  const failed = total.errors_by_code[0];
  const unknown = total.unknown_cost_tries ?? 0;
  const charged =
    total.cost_nanos == null
      ? t("figure.perRequest", { amount: money(perRequest(total), currency) })
      : t("figure.cost", { amount: money(total.cost_nanos, currency) });
  const figures = [
    { name: t("figure.requests"), value: count(total.requests), note: t("figure.tries", { tries: count(total.tries) }) },
    {
      name: t("figure.errorRate"),
      value: percent(total.error_rate),
      note: failed === undefined ? t("figure.noErrors") : t("figure.mostly", { code: failed.code }),
      bad: total.errors > 0,
    },
    { name: t("figure.tokens"), value: brief(inputTokens(total.tokens) + outputTokens(total.tokens)), note: t("figure.inOut", { input: brief(inputTokens(total.tokens)), output: brief(outputTokens(total.tokens)) }) },
    { name: t("figure.charged"), value: money(total.charged_nanos, currency), note: charged },
    {
      name: t("figure.duration"),
      value: duration(total.duration.p50_ms),
      note: t("figure.tail", { p95: duration(total.duration.p95_ms), p99: duration(total.duration.p99_ms) }),
    },
    {
      name: t("figure.firstOutput"),
      value: duration(total.first_output.p50_ms),
      note: t("figure.tail", { p95: duration(total.first_output.p95_ms), p99: duration(total.first_output.p99_ms) }),
    },
  ];
  return (
    <div className="flex flex-col gap-2">
      <dl className="stat-totals">
        {figures.map(({ name, value, note, bad = false }) => (
          <div key={name} className="panel px-4 py-3">
            <dt className="text-muted text-xs">{name}</dt>
            <dd className={`text-xl tabular-nums ${bad ? "text-danger" : ""}`}>{value}</dd>
            <dd className="text-muted text-xs wrap-anywhere">{note}</dd>
          </div>
        ))}
      </dl>
      {unknown > 0 && <p className="text-muted text-sm text-pretty">{t("figure.unknownCost", { count: unknown })}</p>}
    </div>
  );
}
