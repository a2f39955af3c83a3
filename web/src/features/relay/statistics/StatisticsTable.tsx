import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import type { Statistics, StatisticsRow } from "@/features/operations/types";
import { inputTokens, outputTokens } from "./figures";
import { GROUPINGS, narrowing, type Filter, type Grouping } from "./filter";
import { useMoment } from "./Picture";
import { useFormats } from "./values";

/** A row's name as the way to what is behind it: its filter and the value of that. */
export type RowLink = (filter: Filter, value: string, name: string) => ReactNode;

interface Props {
  statistics: Statistics;
  link: RowLink;
}

const COLUMNS = ["requests", "errorRate", "tokens", "charged", "costColumn", "p50", "p95", "p99", "ttft"] as const;

/** Row by row; it scrolls sideways by itself, by keyboard too, where the page is narrow. What the house pays is told to operators. */
export function StatisticsTable({ statistics, link }: Props): ReactNode {
  const { t } = useTranslation("relay");
  // What the rows are by, not what was asked for meanwhile.
  const by = groupingOf(statistics);
  const costs = statistics.total.cost_nanos != null;
  const most = statistics.rows.reduce((top, row) => Math.max(top, row.requests), 0);
  return (
    <div className="panel overflow-x-auto" tabIndex={0} role="group" aria-label={t("statistics.table")}>
      <table className="grid-table stat-table">
        <caption className="sr-only">{t("statistics.table")}</caption>
        <thead>
          <tr>
            <th scope="col">{t(`by.${by}`)}</th>
            {COLUMNS.filter((name) => costs || name !== "costColumn").map((name) => (
              <th key={name} scope="col" data-number>
                {t(`figure.${name}`)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {statistics.rows.map((row) => (
            <Row key={row.group ?? ""} row={row} most={most} currency={statistics.currency} costs={costs} name={<RowName row={row} by={by} link={link} />} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface RowProps {
  row: StatisticsRow;
  name: ReactNode;
  most: number;
  currency: string;
  costs: boolean;
}

function Row({ row, name, most, currency, costs }: RowProps): ReactNode {
  const { t } = useTranslation("relay");
  const { count, brief, percent, duration, money } = useFormats();
  const why = row.errors_by_code[0] ?? row.failed_tries_by_code[0];
  return (
    <tr>
      <th scope="row">
        {name}
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
      {costs && (
        <td data-number className="whitespace-nowrap">
          {money(row.cost_nanos, currency)}
        </td>
      )}
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

function groupingOf({ group_by }: Statistics): Grouping {
  return GROUPINGS.find((each) => each === group_by) ?? "channel";
}

function RowName({ row, by, link }: { row: StatisticsRow; by: Grouping; link: RowLink }): ReactNode {
  const { t } = useTranslation("relay");
  const hour = useMoment("hour");
  const day = useMoment("day");
  const { group } = row;
  if (group == null) return <span className="text-muted">{t(`nothing.${by}`)}</span>;
  if (by === "hour" || by === "day") return <span className="whitespace-nowrap">{(by === "hour" ? hour : day)(Date.parse(group))}</span>;
  return link(narrowing(by), group, row.name ?? (by === "model" ? group : `…${group.slice(-8)}`));
}
