/** What calls add up to: how many, how many failed and why, how fast, what they cost; and the story of each. */
import { useState, type ReactNode } from "react";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { ChartColumn, Download, List } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Button, buttonClass } from "@/components/ui/Button";
import { Empty, Loaded } from "@/components/ui/Loaded";
import { Spinner } from "@/components/ui/Spinner";
import { notifyError } from "@/components/ui/toast";
import { useErrorText } from "@/i18n/problems";
import { saveFile } from "@/lib/save-file";
import type { OperationsSearch } from "@/features/operations/search";
import type { Statistics } from "@/features/operations/types";
import { CallsPage } from "./CallsPage";
import { canBeHourly, filterOf, GROUPINGS, searchOf, stepOf, type StatisticsFilter } from "./filter";
import { FilterChips } from "./FilterChips";
import { Picture } from "./Picture";
import { statisticsCsv, statisticsQuery } from "./queries";
import { StatisticsPeriod } from "./StatisticsPeriod";
import { StatisticsTable } from "./StatisticsTable";
import { Totals } from "./Totals";
import "../relay.css";

export function StatisticsSection(): ReactNode {
  const search: OperationsSearch = useSearch({ strict: false });
  const filter = filterOf(search);
  return search.view === "calls" ? <CallsPage filter={filter} /> : <Overview filter={filter} />;
}

function Overview({ filter }: { filter: StatisticsFilter }): ReactNode {
  const { t } = useTranslation("relay");
  const navigate = useNavigate();
  const [now] = useState(() => new Date());
  const choose = (next: StatisticsFilter): void =>
    void navigate({ to: "/operations/$section", params: { section: "statistics" }, search: searchOf(next), replace: true });
  const query = useQuery(statisticsQuery(filter, filter.by));
  const step = stepOf(filter.period);
  const steps = useQuery(statisticsQuery(filter, step));
  return (
    <section className="flex flex-col gap-5" aria-label={t("statistics.title")}>
      <div className="flex flex-wrap items-start justify-between gap-3">
        <StatisticsPeriod
          period={filter.period}
          now={now}
          onChoose={(period) => choose({ ...filter, period, by: filter.by === "hour" && !canBeHourly(period) ? "day" : filter.by })}
        />
        <div className="flex flex-wrap gap-2">
          <Link to="/operations/$section" params={{ section: "statistics" }} search={searchOf(filter, "calls")} className={buttonClass()}>
            <List aria-hidden />
            {t("statistics.calls")}
          </Link>
          <CsvButton filter={filter} />
        </div>
      </div>
      <FilterChips filter={filter} rows={query.data} onChange={choose} />
      <Loaded query={query} texts="relay" height="32rem">
        {query.data !== undefined && query.data.total.requests + query.data.total.tries === 0 && (
          <Empty icon={ChartColumn} title={t("statistics.emptyTitle")} text={t("statistics.emptyText")} />
        )}
        {query.data !== undefined && query.data.total.requests + query.data.total.tries > 0 && (
          <div className="flex flex-col gap-5 data-[old=true]:opacity-60" data-old={query.isPlaceholderData} aria-busy={query.isPlaceholderData}>
            <Totals statistics={query.data} />
            {steps.data !== undefined && <Picture statistics={steps.data} step={step} now={now} />}
            <Grouped statistics={query.data} filter={filter} onChange={choose} />
          </div>
        )}
      </Loaded>
    </section>
  );
}

interface GroupedProps {
  statistics: Statistics;
  filter: StatisticsFilter;
  onChange: (filter: StatisticsFilter) => void;
}

function Grouped({ statistics, filter, onChange }: GroupedProps): ReactNode {
  const { t } = useTranslation("relay");
  const offered = GROUPINGS.filter((by) => by !== "hour" || canBeHourly(filter.period));
  return (
    <div className="flex flex-col gap-3">
      <div role="group" aria-label={t("statistics.groupBy")} className="segments">
        {offered.map((by) => (
          <button key={by} type="button" className="segment" aria-pressed={by === filter.by} onClick={() => onChange({ ...filter, by })}>
            {t(`by.${by}`)}
          </button>
        ))}
      </div>
      <StatisticsTable statistics={statistics} filter={filter} />
      {statistics.truncated && <p className="text-muted text-sm">{t("statistics.truncated")}</p>}
    </div>
  );
}

function CsvButton({ filter }: { filter: StatisticsFilter }): ReactNode {
  const { t } = useTranslation("relay");
  const errorText = useErrorText("relay");
  const [busy, setBusy] = useState(false);
  const { period, by } = filter;
  const name = `oblivious-statistics-${by}-${period === null ? "24h" : `${period.from}-${period.to}`}.csv`;
  const save = (): void => {
    setBusy(true);
    statisticsCsv(filter)
      .then((content) => saveFile(name, content))
      .catch((error: unknown) => notifyError(errorText(error)))
      .finally(() => setBusy(false));
  };
  return (
    <Button disabled={busy} onClick={save}>
      {busy ? <Spinner /> : <Download aria-hidden />}
      {t("statistics.csv")}
    </Button>
  );
}
