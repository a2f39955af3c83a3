/** Prices or costs of one model: what everybody asks for in sight, everything else in a fold. */
import type { ReactNode } from "react";
import { Plus, Trash2 } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/ui/Button";
import { Field } from "@/components/ui/Field";
import { IconButton } from "@/components/ui/IconButton";
import { Fold } from "@/features/operations/parts/Fold";
import { emptyLong, FALLBACK, fallbackOf, FEES, finerCount, MAX_LONG, TIERS, type LongDraft, type RatesDraft, type Tier, type TiersDraft } from "./rates";

/** Sentences by place: `input`, `per_image`, `long.0.above`. */
export type RatesErrors = Readonly<Record<string, string>>;

interface Props {
  legend: string;
  value: RatesDraft;
  errors: RatesErrors;
  refusals: number;
  onChange: (value: RatesDraft) => void;
  /** Beside the legend. */
  tools?: ReactNode;
}

const MAIN = ["input", "output"] as const;
const FINER = TIERS.filter((tier) => tier in FALLBACK);

interface CellProps {
  draft: TiersDraft;
  tier: Tier;
  error: string | undefined;
  onChange: (text: string) => void;
}

/** What a finer tier falls back to is shown in it. */
function TierField({ draft, tier, error, onChange }: CellProps): ReactNode {
  const { t } = useTranslation("relay");
  const placeholder = fallbackOf(draft, tier) || "0.00";
  return (
    <Field label={t(`tier.${tier}`)} inputMode="decimal" autoComplete="off" placeholder={placeholder} value={draft[tier]} error={error} onChange={(event) => onChange(event.target.value)} />
  );
}

export function RatesFields({ legend, value, errors, refusals, onChange, tools }: Props): ReactNode {
  const { t } = useTranslation("relay");
  const inside = Object.keys(errors).some((at) => !MAIN.some((tier) => tier === at));
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
        {MAIN.map((tier) => (
          <TierField key={tier} draft={value} tier={tier} error={errors[tier]} onChange={(text) => onChange({ ...value, [tier]: text })} />
        ))}
      </div>
      <Fold plain title={<span className="text-sm">{t("rates.more")}</span>} digest={digest(finerCount(value))} troubled={inside} refusals={refusals}>
        <p className="text-muted text-sm text-pretty">{t("rates.moreHint")}</p>
        <div className="grid grid-cols-2 items-start gap-3 lg:grid-cols-4">
          {FINER.map((tier) => (
            <TierField key={tier} draft={value} tier={tier} error={errors[tier]} onChange={(text) => onChange({ ...value, [tier]: text })} />
          ))}
        </div>
        <p className="text-muted text-sm text-pretty">{t("rates.feesHint")}</p>
        <div className="grid grid-cols-2 items-start gap-3 lg:grid-cols-5">
          {FEES.map((fee) => (
            <Field
              key={fee}
              label={t(`fee.${fee}`)}
              inputMode="decimal"
              autoComplete="off"
              placeholder="0.00"
              value={value[fee]}
              error={errors[fee]}
              onChange={(event) => onChange({ ...value, [fee]: event.target.value })}
            />
          ))}
        </div>
        <LongLists value={value} errors={errors} onChange={onChange} />
      </Fold>
    </fieldset>
  );

  function digest(count: number): string {
    return count === 0 ? t("rates.none") : t("rates.some", { count });
  }
}

function LongLists({ value, errors, onChange }: { value: RatesDraft; errors: RatesErrors; onChange: (value: RatesDraft) => void }): ReactNode {
  const { t } = useTranslation("relay");
  const change = (row: number, next: Partial<LongDraft>): void =>
    onChange({ ...value, long: value.long.map((list) => (list.row === row ? { ...list, ...next } : list)) });
  return (
    <>
      <p className="text-muted text-sm text-pretty">{t("rates.longHint")}</p>
      {value.long.map((list, index) => (
        <fieldset key={list.row} className="border-line flex flex-col gap-3 rounded-2xl border p-3">
          <legend className="sr-only">{t("rates.long", { number: index + 1 })}</legend>
          <div className="flex items-start justify-between gap-3">
            <div className="max-w-56 flex-1">
              <Field
                label={t("rates.above")}
                inputMode="numeric"
                autoComplete="off"
                placeholder="200000"
                value={list.above}
                error={errors[`long.${index}.above`]}
                onChange={(event) => change(list.row, { above: event.target.value })}
              />
            </div>
            <IconButton label={t("rates.removeLong", { number: index + 1 })} onClick={() => onChange({ ...value, long: value.long.filter((each) => each.row !== list.row) })}>
              <Trash2 aria-hidden />
            </IconButton>
          </div>
          <div className="grid grid-cols-2 items-start gap-3 lg:grid-cols-3">
            {TIERS.map((tier) => (
              <TierField key={tier} draft={list} tier={tier} error={errors[`long.${index}.${tier}`]} onChange={(text) => change(list.row, { [tier]: text })} />
            ))}
          </div>
        </fieldset>
      ))}
      {value.long.length < MAX_LONG && (
        <Button className="self-start" size="small" onClick={() => onChange({ ...value, long: [...value.long, emptyLong()] })}>
          <Plus aria-hidden />
          {t("rates.addLong")}
        </Button>
      )}
    </>
  );
}
