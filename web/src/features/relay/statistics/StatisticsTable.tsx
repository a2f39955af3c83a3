import type { ReactNode } from "react";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import type { Statistics, StatisticsRow } from "@/features/operations/types";
import { inputTokens, outputTokens } from "./figures";
import { FILTERS, searchOf, type Grouping, type StatisticsFilter } from "./filter";
import { useMoment } from "./Picture";
import { useFormats } from "./values";

/** Row by row; it scrolls sideways by itself, by keyboard too, where the page is narrow. */
export function StatisticsTable({ statistics, filter }: { statistics: Statistics; filter: StatisticsFilter }): ReactNode {
  const { t } = useTranslation("relay");
  const { by } = filter;
  const most = statistics.rows.reduce((top, row) => Math.max(top, row.requests), 0);
  return (
    <div className="panel overflow-x-auto" tabIndex={0} role="group" aria-label={t("statistics.table")}>
      <table className="grid-table stat-table">
        <caption className="sr-only">{t("statistics.table")}</caption>
        <thead>
          <tr>
            <th scope="col">{t(`by.${by}`)}</th>
            {(["requests", "errorRate", "tokens", "charged", "costColumn", "p50", "p95", "p99", "ttft"] as const).map((name) => (
              <th key={name} scope="col" data-number>
                {t(`figure.${name}`)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {statistics.rows.map((row) => (
            <Row key={row.group ?? ""} row={row} most={most} currency={statistics.currency} filter={filter} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row({ row, most, currency, filter }: { row: StatisticsRow; most: number; currency: string; filter: StatisticsFilter }): ReactNode {
  const { t } = useTranslation("relay");
  const { count, brief, percent, duration, money } = useFormats();
  const why = row.errors_by_code[0] ?? row.failed_tries_by_code[0];
  return (
    <tr>
      <th scope="row">
        <RowName row={row} filter={filter} />
        <span aria-hidden className="stat-share">
          <span style={{ width: `${most === 0 ? 0 : (row.requests / most) * 100}%` }} />
        </span>
        {why !== undefined && <span className="text-muted mt-1 block font-mono text-xs font-normal wrap-anywhere">{t("figure.code", { code: why.code, count: why.count })}</span>}
      </th>
      <td data-number>{count(row.requests)}</td>
      <td data-number>
        <span className={row.errors > 0 ? "text-danger" : ""}>{percent(row.error_rate)}</span>
      </td>
      <td data-number>
        <span className="whitespace-nowrap">
          {brief(inputTokens(row.tokens))} / {brief(outputTokens(row.tokens))}
        </span>
      </td>
      <td data-number className="whitespace-nowrap">
        {money(row.charged_nanos, currency)}
      </td>
      <td data-number className="whitespace-nowrap">
        {money(row.cost_nanos, currency)}
      </td>
      {[row.duration.p50_ms, row.duration.p95_ms, row.duration.p99_ms].map((ms, index) => (
        <td key={index} data-number className="whitespace-nowrap">
          {duration(ms)}
        </td>
      ))}
      <td data-number>
        <span className="whitespace-nowrap">{duration(row.first_output.p50_ms)}</span>
        {row.first_output.p95_ms != null && (
          <span className="text-muted block text-xs whitespace-nowrap">{t("figure.p95Of", { p95: duration(row.first_output.p95_ms) })}</span>
        )}
      </td>
    </tr>
  );
}

/** Leads to the calls behind the row, where they can be named. */
function RowName({ row, filter }: { row: StatisticsRow; filter: StatisticsFilter }): ReactNode {
  const { t } = useTranslation("relay");
  const hour = useMoment("hour");
  const day = useMoment("day");
  const { by } = filter;
  const { group } = row;
  if (group == null) return <span className="text-muted">{t(`nothing.${by}`)}</span>;
  if (by === "hour" || by === "day") return <span className="whitespace-nowrap">{(by === "hour" ? hour : day)(Date.parse(group))}</span>;
  const name = row.name ?? (by === "model" ? group : `…${group.slice(-8)}`);
  return (
    <Link to="/operations/$section" params={{ section: "statistics" }} search={searchOf({ ...filter, [narrowing(by)]: group }, "calls")} className="link wrap-anywhere">
      {name}
    </Link>
  );
}

function narrowing(by: Grouping): string {
  return FILTERS.find((name) => name === by) ?? "channel";
}
