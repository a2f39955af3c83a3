/** One model of a channel: its names, its limits, what it costs and what is asked for it. */
import type { ReactNode } from "react";
import { Copy, Trash2 } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/ui/Button";
import { Field } from "@/components/ui/Field";
import { IconButton } from "@/components/ui/IconButton";
import { RatesFields } from "@/features/operations/parts/RatesFields";
import { TIERS, type ModelDraft, type Tier } from "./draft";
import type { FieldErrors } from "./use-channel-form";

interface Props {
  model: ModelDraft;
  index: number;
  errors: FieldErrors;
  onChange: (model: ModelDraft) => void;
  /** Null where it is the only one. */
  onRemove: (() => void) | null;
}

export function ModelFields({ model, index, errors, onChange, onRemove }: Props): ReactNode {
  const { t } = useTranslation("operations");
  const name = model.name.trim() === "" ? t("form.modelNumber", { number: index + 1 }) : model.name;
  const error = (field: string): string | undefined => errors[`models.${index}.${field}`];
  const tiers = (kind: "prices" | "costs"): Partial<Record<Tier, string | undefined>> =>
    Object.fromEntries(TIERS.map((tier) => [tier, error(`${kind}.${tier}`)]));
  const text = (field: "name" | "upstream" | "context_tokens" | "max_output_tokens") => ({
    value: model[field],
    error: error(field),
    onChange: (event: { target: { value: string } }) => onChange({ ...model, [field]: event.target.value }),
    autoComplete: "off",
    autoCapitalize: "none",
    spellCheck: false,
  });
  return (
    <li className="panel flex flex-col gap-4 p-4 md:p-5">
      <div className="flex items-center justify-between gap-3">
        <h4 className="min-w-0 truncate font-medium">{name}</h4>
        {onRemove !== null && (
          <IconButton label={t("form.removeModel", { name })} size="tool" onClick={onRemove}>
            <Trash2 aria-hidden />
          </IconButton>
        )}
      </div>
      <div className="grid items-start gap-3 md:grid-cols-2 lg:grid-cols-4">
        <Field label={t("form.modelName")} hint={t("form.modelNameHint")} {...text("name")} />
        <Field label={t("form.upstream")} hint={t("form.upstreamHint")} placeholder={model.name} {...text("upstream")} />
        <Field label={t("form.context")} inputMode="numeric" placeholder={t("form.unknown")} {...text("context_tokens")} />
        <Field label={t("form.maxOutput")} inputMode="numeric" placeholder={t("form.unknown")} {...text("max_output_tokens")} />
      </div>
      <RatesFields
        legend={t("form.costs")}
        value={model.costs}
        errors={tiers("costs")}
        onChange={(costs) => onChange({ ...model, costs })}
      />
      <RatesFields
        legend={t("form.prices")}
        value={model.prices}
        errors={tiers("prices")}
        onChange={(prices) => onChange({ ...model, prices })}
        tools={
          <Button kind="quiet" size="small" onClick={() => onChange({ ...model, prices: model.costs })}>
            <Copy aria-hidden />
            {t("form.costsAsPrices")}
          </Button>
        }
      />
    </li>
  );
}
