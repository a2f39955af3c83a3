/** The models of a channel. Those that the server has are closed: a channel may have hundreds. */
import type { ReactNode } from "react";
import { Plus } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/ui/Button";
import { Notice } from "@/components/ui/Notice";
import { Fold } from "@/features/operations/parts/Fold";
import { troubled } from "../../problems";
import { emptyModel, type ModelDraft } from "../model-draft";
import type { ChannelForm } from "../use-channel-form";
import { ModelFields } from "./ModelFields";

export function ModelsPart({ form }: { form: ChannelForm }): ReactNode {
  const { t } = useTranslation("relay");
  const { draft, edit, errors, before, refusals } = form;
  const known = new Set(before?.models.map((model) => model.name));
  const change = (row: number, next: ModelDraft): void => edit({ models: draft.models.map((model) => (model.row === row ? next : model)) });
  return (
    <section className="flex flex-col gap-3" aria-labelledby="channel-models">
      <div>
        <h3 id="channel-models" className="font-medium">
          {t("form.models")}
        </h3>
        <p className="text-muted text-sm text-pretty">{t("form.modelsHint")}</p>
      </div>
      {errors["models"] !== undefined && <Notice text={errors["models"]} />}
      <ul className="flex flex-col gap-3">
        {draft.models.map((model, index) => (
          <li key={model.row}>
            <Fold
              title={model.name.trim() === "" ? t("form.modelNumber", { number: index + 1 }) : model.name}
              digest={digest(model)}
              troubled={troubled(errors, `models.${index}`)}
              refusals={refusals}
              begins={known.has(model.name) ? "closed" : "open"}
            >
              <ModelFields
                model={model}
                index={index}
                errors={errors}
                refusals={refusals}
                onChange={(next) => change(model.row, next)}
                onRemove={draft.models.length === 1 ? null : () => edit({ models: draft.models.filter((each) => each.row !== model.row) })}
              />
            </Fold>
          </li>
        ))}
      </ul>
      <Button className="self-start" onClick={() => edit({ models: [...draft.models, emptyModel()] })}>
        <Plus aria-hidden />
        {t("form.addModel")}
      </Button>
    </section>
  );

  function digest({ upstream, name, prices: { input, output } }: ModelDraft): string {
    const renamed = upstream.trim() === "" || upstream === name ? "" : `→ ${upstream} · `;
    return input === "" && output === "" ? `${renamed}${t("form.noPrice")}` : `${renamed}${t("channels.price", { input, output })}`;
  }
}
