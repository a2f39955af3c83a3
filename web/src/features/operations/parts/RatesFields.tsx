import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Field } from "@/components/ui/Field";
import { TIERS, type RatesDraft, type Tier } from "@/features/relay/channels/draft";

interface Props {
  legend: string;
  value: RatesDraft;
  errors: Partial<Record<Tier, string | undefined>>;
  /** What the finer tiers fall back to is shown in them. */
  onChange: (value: RatesDraft) => void;
  /** Beside the legend. */
  tools?: ReactNode;
}

const FALLBACK = { cached_input: "input", reasoning: "output" } as const;

function placeholder(value: RatesDraft, tier: Tier): string {
  return tier === "cached_input" || tier === "reasoning" ? value[FALLBACK[tier]] : "0.00";
}

/** Prices or costs of one model, per million tokens. */
export function RatesFields({ legend, value, errors, onChange, tools }: Props): ReactNode {
  const { t } = useTranslation("operations");
  return (
    <fieldset className="flex flex-col gap-2">
      <legend className="sr-only">{legend}</legend>
      <div className="flex min-h-8 flex-wrap items-center justify-between gap-x-4">
        <p aria-hidden className="text-muted text-xs font-medium">
          {legend}
        </p>
        {tools}
      </div>
      <div className="grid grid-cols-2 items-start gap-3 lg:grid-cols-4">
        {TIERS.map((tier) => (
          <Field
            key={tier}
            label={t(`tier.${tier}`)}
            inputMode="decimal"
            autoComplete="off"
            placeholder={placeholder(value, tier)}
            value={value[tier]}
            error={errors[tier]}
            onChange={(event) => onChange({ ...value, [tier]: event.target.value })}
          />
        ))}
      </div>
    </fieldset>
  );
}
