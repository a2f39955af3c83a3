import { useState, type FormEvent, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/ui/Button";
import { Field } from "@/components/ui/Field";
import { monthOf, presetOf, problemOfPeriod, type Period, type PeriodProblem, type Preset } from "./period";

const PRESETS: readonly Preset[] = ["thisMonth", "lastMonth", "custom"];

interface Props {
  period: Period;
  now: Date;
  onChoose: (period: Period) => void;
}

/** This month, the last one, or any days. Days of one's own are asked for only when the form is sent. */
export function PeriodPicker({ period, now, onChoose }: Props): ReactNode {
  const { t } = useTranslation("billing");
  const [custom, setCustom] = useState(false);
  const preset = custom ? "custom" : presetOf(period, now);
  const choose = (chosen: Preset): void => {
    setCustom(chosen === "custom");
    if (chosen !== "custom") onChoose(monthOf(now, chosen === "thisMonth" ? 0 : 1));
  };
  return (
    <div className="flex flex-col gap-3">
      <div role="group" aria-label={t("period.label")} className="segments">
        {PRESETS.map((name) => (
          <button key={name} type="button" className="segment" aria-pressed={name === preset} onClick={() => choose(name)}>
            {t(`period.${name}`)}
          </button>
        ))}
      </div>
      {preset === "custom" && <CustomPeriod key={`${period.from} ${period.to}`} period={period} onChoose={onChoose} />}
    </div>
  );
}

/** Two days and a button; what would be refused is told at the first. */
export function CustomPeriod({ period, onChoose }: { period: Period; onChoose: (period: Period) => void }): ReactNode {
  const { t } = useTranslation("billing");
  const [problem, setProblem] = useState<PeriodProblem | null>(null);
  const send = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    const chosen = { from: String(data.get("from")), to: String(data.get("to")) };
    const found = problemOfPeriod(chosen);
    setProblem(found);
    if (found === null) onChoose(chosen);
  };
  return (
    <form onSubmit={send} className="flex flex-wrap items-start gap-3" noValidate>
      <Field label={t("period.from")} name="from" type="date" defaultValue={period.from} error={problem === null ? undefined : t(`period.problem.${problem}`)} />
      <Field label={t("period.to")} name="to" type="date" defaultValue={period.to} />
      <Button type="submit" className="mt-[1.625rem]">
        {t("period.show")}
      </Button>
      <p className="text-muted w-full text-xs">{t("period.utc")}</p>
    </form>
  );
}
