/** What calls add up to: how many, how many failed and why, how fast, what they cost; and the story of each. */
import { useState, type ReactNode } from "react";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { ChartColumn, Download, List } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Button, buttonClass } from "@/components/ui/Button";
import { Empty } from "@/components/ui/Loaded";
import { Spinner } from "@/components/ui/Spinner";
import { notifyError } from "@/components/ui/toast";
import { useErrorText } from "@/i18n/problems";
import { saveFile } from "@/lib/save-file";
import type { OperationsSearch } from "@/features/operations/search";
import { CallsPage } from "./CallsPage";
import { filterOf, GROUPINGS, inPeriod, searchOf, stepOf, type StatisticsFilter } from "./filter";
import { FilterChips } from "./FilterChips";
import { statisticsCsv, statisticsQuery } from "./queries";
import { Report } from "./Report";
import { StatisticsPeriod } from "./StatisticsPeriod";
import type { RowLink } from "./StatisticsTable";
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
  const steps = useQuery(statisticsQuery(filter, stepOf(filter.period)));
  // To the calls behind the row.
  const link: RowLink = (narrowed, value, name) => (
    <Link to="/operations/$section" params={{ section: "statistics" }} search={searchOf({ ...filter, [narrowed]: value }, "calls")} className="link wrap-anywhere">
      {name}
    </Link>
  );
  return (
    <section className="flex flex-col gap-5" aria-label={t("statistics.title")}>
      <div className="flex flex-wrap items-start justify-between gap-3">
        <StatisticsPeriod
          period={filter.period}
          now={now}
          onChoose={(period) => choose(inPeriod(filter, period))}
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
      <Report query={query} steps={steps.data} period={filter.period} by={filter.by} groupings={GROUPINGS} now={now} onGroup={(by) => choose({ ...filter, by })} link={link}>
        <Empty icon={ChartColumn} title={t("statistics.emptyTitle")} text={t("statistics.emptyText")} />
      </Report>
    </section>
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
