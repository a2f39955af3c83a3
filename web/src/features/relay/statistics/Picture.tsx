import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import type { Statistics } from "@/features/operations/types";
import { columnsOf, type Column } from "./figures";
import { useFormats } from "./values";

interface Props {
  /** By hours or days, as `step` says. */
  statistics: Statistics;
  step: "hour" | "day";
  now: Date;
}

/** Requests over time as a picture, those that failed in it, with the same as a table behind it for those who read. */
export function Picture({ statistics, step, now }: Props): ReactNode {
  const { t } = useTranslation("relay");
  const { count } = useFormats();
  const label = useMoment(step);
  const columns = columnsOf(statistics, step, now);
  const [first] = columns;
  const last = columns.at(-1);
  if (first === undefined || last === undefined) return null;
  const highest = columns.reduce((top, column) => (column.requests > top.requests ? column : top), first);
  if (highest.requests === 0) return null;
  return (
    <figure className="card flex flex-col gap-3">
      <figcaption className="text-sm">
        <span className="font-medium">{t(`picture.${step}`)}</span>{" "}
        <span className="text-muted">{t("picture.most", { requests: count(highest.requests), when: label(highest.at) })}</span>
      </figcaption>
      <div aria-hidden>
        <div className="stat-columns">
          {columns.map((column) => (
            <span key={column.at} title={t("picture.column", { when: label(column.at), requests: count(column.requests), errors: count(column.errors) })}>
              <span style={{ height: `${column.percent}%` }}>
                <span style={{ height: `${column.errorPercent}%` }} />
              </span>
            </span>
          ))}
        </div>
        <div className="text-muted mt-1.5 flex justify-between text-xs">
          <span>{label(first.at)}</span>
          {columns.length > 1 && <span>{label(last.at)}</span>}
        </div>
      </div>
      <ColumnTable columns={columns} currency={statistics.currency} step={step} />
    </figure>
  );
}

/** Hours in the reader's time zone, days in UTC, as the server counts them. */
export function useMoment(step: "hour" | "day"): (at: number) => string {
  const { i18n } = useTranslation();
  const options: Intl.DateTimeFormatOptions =
    step === "hour" ? { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" } : { month: "short", day: "numeric", timeZone: "UTC" };
  const format = new Intl.DateTimeFormat(i18n.language, options);
  return (at) => format.format(at);
}

function ColumnTable({ columns, currency, step }: { columns: readonly Column[]; currency: string; step: "hour" | "day" }): ReactNode {
  const { t } = useTranslation("relay");
  const { count, money } = useFormats();
  const label = useMoment(step);
  return (
    <details className="text-sm">
      <summary className="disclosure">{t("picture.asTable")}</summary>
      <table className="ledger mt-2">
        <caption className="sr-only">{t(`picture.${step}`)}</caption>
        <thead>
          <tr>
            <th scope="col">{t(`by.${step}`)}</th>
            <th scope="col">{t("figure.requests")}</th>
            <th scope="col">{t("figure.errors")}</th>
            <th scope="col">{t("figure.charged")}</th>
          </tr>
        </thead>
        <tbody>
          {columns
            .filter((column) => column.requests > 0)
            .map((column) => (
              <tr key={column.at}>
                <th scope="row">{label(column.at)}</th>
                <td>{count(column.requests)}</td>
                <td>{count(column.errors)}</td>
                <td>{money(column.chargedNanos, currency)}</td>
              </tr>
            ))}
        </tbody>
      </table>
    </details>
  );
}
