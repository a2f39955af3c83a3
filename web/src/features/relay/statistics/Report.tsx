/** What calls add up to, in three ways: together, over time, row by row. */
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Loaded } from "@/components/ui/Loaded";
import type { Period } from "@/features/billing/period";
import type { Statistics } from "@/features/operations/types";
import { canBeHourly, stepOf, type Grouping } from "./filter";
import { Picture } from "./Picture";
import { StatisticsTable, type RowLink } from "./StatisticsTable";
import { Totals } from "./Totals";

interface Props {
  query: { data: Statistics | undefined; error: unknown; isPlaceholderData: boolean; refetch: () => unknown };
  /** The same by hours or days, as the period is drawn. */
  steps: Statistics | undefined;
  period: Period | null;
  by: Grouping;
  groupings: readonly Grouping[];
  now: Date;
  onGroup: (by: Grouping) => void;
  link: RowLink;
  /** What stands there where nothing was counted. */
  children: ReactNode;
}

export function Report({ query, steps, period, by, groupings, now, onGroup, link, children }: Props): ReactNode {
  const { data, isPlaceholderData } = query;
  return (
    <Loaded query={query} texts="relay" height="32rem">
      {data !== undefined && data.total.requests + data.total.tries === 0 && children}
      {data !== undefined && data.total.requests + data.total.tries > 0 && (
        <div className="flex flex-col gap-5 data-[old=true]:opacity-60" data-old={isPlaceholderData} aria-busy={isPlaceholderData}>
          <Totals statistics={data} />
          {steps !== undefined && <Picture statistics={steps} step={stepOf(period)} now={now} />}
          <Grouped
            statistics={data}
            by={by}
            offered={groupings.filter((each) => each !== "hour" || canBeHourly(period))}
            onGroup={onGroup}
            link={link}
          />
        </div>
      )}
    </Loaded>
  );
}

interface GroupedProps {
  statistics: Statistics;
  by: Grouping;
  offered: readonly Grouping[];
  onGroup: (by: Grouping) => void;
  link: RowLink;
}

function Grouped({ statistics, by, offered, onGroup, link }: GroupedProps): ReactNode {
  const { t } = useTranslation("relay");
  return (
    <div className="flex flex-col gap-3">
      <div role="group" aria-label={t("statistics.groupBy")} className="segments">
        {offered.map((each) => (
          <button key={each} type="button" className="segment" aria-pressed={each === by} onClick={() => onGroup(each)}>
            {t(`by.${each}`)}
          </button>
        ))}
      </div>
      <StatisticsTable statistics={statistics} link={link} />
      {statistics.truncated && <p className="text-muted text-sm">{t("statistics.truncated")}</p>}
    </div>
  );
}
