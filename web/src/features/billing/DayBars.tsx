import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import type { Statement } from "@/api/types";
import { formatDate } from "@/lib/dates";
import { barsOf, type Bar } from "./bars";
import { useMoney } from "./wallet";

/** Charges by day as a picture, with the same as a table behind it for those who read rather than look. */
export function DayBars({ statement, now }: { statement: Statement; now: Date }): ReactNode {
  const { t, i18n } = useTranslation("billing");
  const money = useMoney();
  const bars = barsOf(statement, now);
  const [first] = bars;
  const last = bars.at(-1);
  if (first === undefined || last === undefined) return <p className="text-muted text-sm">{t("statement.future")}</p>;
  const highest = bars.reduce((top, bar) => (bar.nanos > top.nanos ? bar : top), first);
  const day = (bar: Bar): string => formatDate(bar.date, i18n.language, "shortDay");
  return (
    <figure className="card flex flex-col gap-3">
      <figcaption className="text-sm">
        <span className="font-medium">{t("statement.byDay")}</span>{" "}
        <span className="text-muted">
          {highest.nanos === 0n ? t("statement.nothing") : t("statement.most", { amount: money(highest.nanos, "exact"), day: day(highest) })}
        </span>
      </figcaption>
      {highest.nanos > 0n && (
        <div aria-hidden>
          <div className="bars">
            {bars.map((bar) => (
              <span key={bar.date} className="bar" title={`${day(bar)}: ${money(bar.nanos, "exact")}`}>
                <span style={{ height: `${bar.percent}%` }} />
              </span>
            ))}
          </div>
          <div className="text-muted mt-1.5 flex justify-between text-xs">
            <span>{day(first)}</span>
            {bars.length > 1 && <span>{day(last)}</span>}
          </div>
        </div>
      )}
      {highest.nanos > 0n && <DayTable bars={bars} />}
    </figure>
  );
}

function DayTable({ bars }: { bars: readonly Bar[] }): ReactNode {
  const { t, i18n } = useTranslation("billing");
  const money = useMoney();
  return (
    <details className="text-sm">
      <summary className="disclosure">{t("statement.asTable")}</summary>
      <table className="ledger mt-2">
        <caption className="sr-only">{t("statement.byDay")}</caption>
        <thead>
          <tr>
            <th scope="col">{t("statement.day")}</th>
            <th scope="col">{t("statement.cost")}</th>
            <th scope="col">{t("statement.calls")}</th>
          </tr>
        </thead>
        <tbody>
          {bars.filter((bar) => bar.calls > 0 || bar.nanos !== 0n).map((bar) => (
            <tr key={bar.date}>
              <th scope="row">{formatDate(bar.date, i18n.language, "day")}</th>
              <td>{money(bar.nanos, "exact")}</td>
              <td>{bar.calls.toLocaleString(i18n.language)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}
