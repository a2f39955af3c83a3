/** What the reader's own calls add up to: how many, how many tokens, what they cost, by day, by model, by key. */
import { useState, type ReactNode } from "react";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { ChartColumn } from "lucide-react";
import { useTranslation } from "react-i18next";
import { SidePage } from "@/app/SidePage";
import { buttonClass } from "@/components/ui/Button";
import { Empty } from "@/components/ui/Loaded";
import { inPeriod, stepOf, type StatisticsFilter } from "../statistics/filter";
import { FilterChips } from "../statistics/FilterChips";
import { ownStatisticsQuery } from "../statistics/queries";
import { Report } from "../statistics/Report";
import { StatisticsPeriod } from "../statistics/StatisticsPeriod";
import type { RowLink } from "../statistics/StatisticsTable";
import { OWN_GROUPINGS, searchOfUsage, usageFilter } from "./filter";
import type { UsageSearch } from "./search";
// The panels and tables of the statistics are the operators'.
import "@/features/operations/operations.css";
import "../relay.css";

export function UsagePage(): ReactNode {
  const { t } = useTranslation("relay");
  const navigate = useNavigate();
  const [now] = useState(() => new Date());
  const search: UsageSearch = useSearch({ strict: false });
  const filter = usageFilter(search);
  const query = useQuery(ownStatisticsQuery(filter, filter.by));
  const steps = useQuery(ownStatisticsQuery(filter, stepOf(filter.period)));
  const choose = (next: StatisticsFilter): void => void navigate({ to: "/usage", search: searchOfUsage(next), replace: true });
  // A model or a key on its own, day by day.
  const link: RowLink = (narrowed, value, name) => (
    <Link to="/usage" search={searchOfUsage({ ...filter, by: "day", [narrowed]: value })} className="link wrap-anywhere">
      {name}
    </Link>
  );
  return (
    <SidePage title={t("usage.title")} wide>
      <section className="flex flex-col gap-5" aria-label={t("usage.title")}>
        <p className="text-muted max-w-2xl text-sm text-pretty">{t("usage.intro")}</p>
        <StatisticsPeriod period={filter.period} now={now} onChoose={(period) => choose(inPeriod(filter, period))} />
        <FilterChips filter={filter} rows={query.data} onChange={choose} />
        <Report query={query} steps={steps.data} period={filter.period} by={filter.by} groupings={OWN_GROUPINGS} now={now} onGroup={(by) => choose({ ...filter, by })} link={link}>
          <Empty icon={ChartColumn} title={t("usage.emptyTitle")} text={t("usage.emptyText")}>
            <Link to="/" className={buttonClass()}>
              {t("usage.begin")}
            </Link>
          </Empty>
        </Report>
      </section>
    </SidePage>
  );
}
