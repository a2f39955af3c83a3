/** What a period cost: from the opening to the closing balance, by day, by model, by key. The period is in the address. */
import { useState, type ReactNode } from "react";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useRouter, useSearch } from "@tanstack/react-router";
import { Download } from "lucide-react";
import { useTranslation } from "react-i18next";
import type { Statement } from "@/api/types";
import { Button } from "@/components/ui/Button";
import { Loaded } from "@/components/ui/Loaded";
import { Spinner } from "@/components/ui/Spinner";
import { notifyError } from "@/components/ui/toast";
import { useErrorText } from "@/i18n/problems";
import { chargesCsv, chargesOf, download } from "./csv";
import { DayBars } from "./DayBars";
import { monthOf, presetOf, type Period } from "./period";
import { PeriodPicker } from "./PeriodPicker";
import { statementQuery } from "./queries";
import { KeyTable, ModelTable } from "./StatementTables";
import { useMoney } from "./wallet";

export function StatementSection(): ReactNode {
  const { t } = useTranslation("billing");
  const router = useRouter();
  const search: Partial<Period> = useSearch({ strict: false });
  const [now] = useState(() => new Date());
  const period = search.from === undefined || search.to === undefined ? monthOf(now) : { from: search.from, to: search.to };
  const query = useQuery({ ...statementQuery(period.from, period.to), placeholderData: keepPreviousData });
  const choose = (chosen: Period): void => {
    const preset = presetOf(chosen, now);
    void router.navigate({ to: "/balance", search: preset === "thisMonth" ? {} : chosen, replace: true });
  };
  return (
    <section aria-labelledby="statement" className="flex flex-col gap-4">
      <div className="flex flex-wrap items-end justify-between gap-x-6 gap-y-3">
        <h2 id="statement" className="section-title">
          {t("statement.title")}
        </h2>
        <CsvButton period={period} />
      </div>
      <PeriodPicker period={period} now={now} onChoose={choose} />
      <Loaded query={query} texts="billing" height="24rem">
        {query.data !== undefined && (
          <div className="flex flex-col gap-4 data-[old=true]:opacity-60" data-old={query.isPlaceholderData} aria-busy={query.isPlaceholderData}>
            <Totals statement={query.data} />
            <DayBars statement={query.data} now={now} />
            {query.data.models.length > 0 && <ModelTable rows={query.data.models} />}
            {query.data.api_keys.length > 0 && <KeyTable rows={query.data.api_keys} />}
          </div>
        )}
      </Loaded>
    </section>
  );
}

function Totals({ statement }: { statement: Statement }): ReactNode {
  const { t } = useTranslation("billing");
  const money = useMoney();
  const optional = [
    { name: t("statement.granted"), nanos: BigInt(statement.granted_nanos) },
    { name: t("statement.toppedUp"), nanos: BigInt(statement.topped_up_nanos) },
    { name: t("statement.adjusted"), nanos: BigInt(statement.adjusted_nanos) },
  ];
  const lines = [
    { name: t("statement.opening"), nanos: BigInt(statement.opening_nanos) },
    ...optional.filter((line) => line.nanos !== 0n),
    { name: t("statement.charged"), nanos: -BigInt(statement.charged_nanos) },
    { name: t("statement.closing"), nanos: BigInt(statement.closing_nanos) },
  ];
  return (
    <dl className="totals">
      {lines.map((line) => (
        <div key={line.name}>
          <dt className="text-muted text-xs">{line.name}</dt>
          <dd className="amount text-lg">{money(line.nanos, "exact")}</dd>
        </div>
      ))}
    </dl>
  );
}

function CsvButton({ period }: { period: Period }): ReactNode {
  const { t } = useTranslation("billing");
  const text = useErrorText("billing");
  const [busy, setBusy] = useState(false);
  const { data } = useQuery(statementQuery(period.from, period.to));
  const save = (): void => {
    setBusy(true);
    chargesOf(period)
      .then((charges) => download(`oblivious-${period.from}-${period.to}.csv`, chargesCsv(charges, data?.currency ?? "")))
      .catch((error: unknown) => notifyError(text(error)))
      .finally(() => setBusy(false));
  };
  return (
    <Button size="small" disabled={busy || data === undefined} onClick={save}>
      {busy ? <Spinner /> : <Download aria-hidden />}
      {t("statement.csv")}
    </Button>
  );
}
