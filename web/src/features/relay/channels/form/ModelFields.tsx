/** One model of a channel: its names, what it costs and what is asked for it, how calls find it, what it can do. */
import type { ReactNode } from "react";
import { Copy, Trash2 } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/ui/Button";
import { Field } from "@/components/ui/Field";
import { Fold } from "@/features/operations/parts/Fold";
import { SelectField } from "@/features/operations/parts/SelectField";
import { Ticks } from "@/features/operations/parts/Ticks";
import { troubled } from "../../problems";
import { errorsUnder } from "../../rates/errors";
import { RatesFields } from "../../rates/RatesFields";
import { CAPABILITIES, MODALITIES, REASONS, STRATEGIES, type ModelDraft } from "../model-draft";
import type { FieldErrors } from "../use-channel-form";

interface Props {
  model: ModelDraft;
  index: number;
  errors: FieldErrors;
  refusals: number;
  onChange: (model: ModelDraft) => void;
  /** Null where it is the only one. */
  onRemove: (() => void) | null;
}

const PLAIN = { autoComplete: "off", autoCapitalize: "none", spellCheck: false } as const;

export function ModelFields({ model, index, errors, refusals, onChange, onRemove }: Props): ReactNode {
  const { t } = useTranslation("relay");
  const name = model.name.trim() === "" ? t("form.modelNumber", { number: index + 1 }) : model.name;
  const text = (field: "name" | "upstream" | "context_tokens" | "max_output_tokens") => ({
    value: model[field],
    error: errors[`models.${index}.${field}`],
    onChange: (event: { target: { value: string } }) => onChange({ ...model, [field]: event.target.value }),
    ...PLAIN,
  });
  const rates = (kind: "prices" | "costs") => ({
    value: model[kind],
    errors: errorsUnder(errors, `models.${index}.${kind}`),
    refusals,
    onChange: (value: ModelDraft["prices"]) => onChange({ ...model, [kind]: value }),
  });
  return (
    <>
      <div className="grid items-start gap-3 md:grid-cols-2 lg:grid-cols-4">
        <Field label={t("form.modelName")} hint={t("form.modelNameHint")} {...text("name")} />
        <Field label={t("form.upstream")} hint={t("form.upstreamHint")} placeholder={model.name} {...text("upstream")} />
        <Field label={t("form.context")} inputMode="numeric" placeholder={t("form.unknown")} {...text("context_tokens")} />
        <Field label={t("form.maxOutput")} inputMode="numeric" placeholder={t("form.unknown")} {...text("max_output_tokens")} />
      </div>
      <RatesFields legend={t("form.costs")} {...rates("costs")} />
      <RatesFields
        legend={t("form.prices")}
        {...rates("prices")}
        tools={
          <Button kind="quiet" size="small" onClick={() => onChange({ ...model, prices: model.costs })}>
            <Copy aria-hidden />
            {t("form.costsAsPrices")}
          </Button>
        }
      />
      <TraitsFold model={model} index={index} errors={errors} refusals={refusals} onChange={onChange} />
      {onRemove !== null && (
        <Button kind="danger" size="small" className="self-start" onClick={onRemove}>
          <Trash2 aria-hidden />
          {t("form.removeModel", { name })}
        </Button>
      )}
    </>
  );
}

function TraitsFold({ model, index, errors, refusals, onChange }: Omit<Props, "onRemove">): ReactNode {
  const { t } = useTranslation("relay");
  const modalities = MODALITIES.map((value) => ({ value, label: t(`modality.${value}`) }));
  const said = [
    ...(model.strategy === "" ? [] : [t(`strategy.${model.strategy}`)]),
    ...REASONS.filter((reason) => model.fallbacks[reason].trim() !== "").map((reason) => t(`fallback.${reason}`)),
    ...(model.capabilities.length === 0 ? [] : [t("traits.capabilityCount", { count: model.capabilities.length })]),
  ];
  return (
    <Fold
      plain
      title={<span className="text-sm">{t("traits.title")}</span>}
      digest={said.length === 0 ? t("traits.none") : said.join(" · ")}
      troubled={troubled(errors, `models.${index}.fallbacks`)}
      refusals={refusals}
    >
      <SelectField
        label={t("traits.strategy")}
        hint={t(`strategyHint.${model.strategy === "" ? "none" : model.strategy}`)}
        value={model.strategy}
        onChange={(event) => onChange({ ...model, strategy: event.target.value as ModelDraft["strategy"] })}
      >
        <option value="">{t("strategy.none")}</option>
        {STRATEGIES.map((strategy) => (
          <option key={strategy} value={strategy}>
            {t(`strategy.${strategy}`)}
          </option>
        ))}
      </SelectField>
      <fieldset className="grid items-start gap-3 md:grid-cols-3">
        <legend className="mb-1.5 text-sm font-medium">{t("traits.fallbacks")}</legend>
        {REASONS.map((reason) => (
          <Field
            key={reason}
            label={t(`fallback.${reason}`)}
            hint={t(`fallbackHint.${reason}`)}
            value={model.fallbacks[reason]}
            error={errors[`models.${index}.fallbacks.${reason}`]}
            onChange={(event) => onChange({ ...model, fallbacks: { ...model.fallbacks, [reason]: event.target.value } })}
            {...PLAIN}
          />
        ))}
      </fieldset>
      <Ticks legend={t("traits.reads")} options={modalities} chosen={model.input_modalities} onChange={(chosen) => onChange({ ...model, input_modalities: chosen })} />
      <Ticks legend={t("traits.writes")} options={modalities} chosen={model.output_modalities} onChange={(chosen) => onChange({ ...model, output_modalities: chosen })} />
      <Ticks
        legend={t("traits.capabilities")}
        hint={t("traits.unknownHint")}
        options={CAPABILITIES.map((value) => ({ value, label: t(`capability.${value}`) }))}
        chosen={model.capabilities}
        onChange={(chosen) => onChange({ ...model, capabilities: chosen })}
      />
    </Fold>
  );
}
