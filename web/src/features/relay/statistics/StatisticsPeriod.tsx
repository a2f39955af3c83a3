import { useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { monthOf, type Period } from "@/features/billing/period";
import { CustomPeriod } from "@/features/billing/PeriodPicker";
import { periodOf, PRESETS, presetOf, type StatisticsPreset } from "./filter";

interface Props {
  period: Period | null;
  now: Date;
  onChoose: (period: Period | null) => void;
}

/** The last day, the last week, a month, or any days. */
export function StatisticsPeriod({ period, now, onChoose }: Props): ReactNode {
  const { t } = useTranslation("relay");
  const [custom, setCustom] = useState(false);
  const preset = custom ? "custom" : presetOf(period, now);
  const choose = (chosen: StatisticsPreset): void => {
    setCustom(chosen === "custom");
    if (chosen !== "custom") onChoose(periodOf(chosen, now));
  };
  return (
    <div className="flex flex-col gap-3">
      <div role="group" aria-label={t("statistics.period")} className="segments">
        {PRESETS.map((name) => (
          <button key={name} type="button" className="segment" aria-pressed={name === preset} onClick={() => choose(name)}>
            {t(`preset.${name}`)}
          </button>
        ))}
      </div>
      {preset === "custom" && <CustomPeriod key={`${period?.from} ${period?.to}`} period={period ?? monthOf(now)} onChoose={onChoose} />}
    </div>
  );
}
