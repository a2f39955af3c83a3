/** Adding or changing a channel. */
import { useEffect, useRef, type FormEvent, type ReactNode } from "react";
import { useBlocker, useNavigate } from "@tanstack/react-router";
import { ArrowLeft, Plus } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/ui/Button";
import { Field } from "@/components/ui/Field";
import { Notice } from "@/components/ui/Notice";
import { Spinner } from "@/components/ui/Spinner";
import { notify } from "@/components/ui/toast";
import { focusHeading } from "@/features/operations/parts/focus-heading";
import { AreaField } from "@/features/operations/parts/AreaField";
import { Choices } from "@/features/operations/parts/Choices";
import { Switch } from "@/features/operations/parts/Switch";
import type { Channel } from "@/features/operations/types";
import { emptyModel, keyHints, type ModelDraft } from "./draft";
import { ModelFields } from "./ModelFields";
import { useChannelForm, type ChannelForm as Form } from "./use-channel-form";

/** Providers that speak the same protocol, by the address that their documentation names. */
const PRESETS = [
  { name: "OpenAI", url: "https://api.openai.com/v1" },
  { name: "OpenRouter", url: "https://openrouter.ai/api/v1" },
  { name: "DeepSeek", url: "https://api.deepseek.com/v1" },
  { name: "Ollama", url: "http://127.0.0.1:11434/v1" },
] as const;

/** `channel` is the one that is changed; null adds a new one. */
export function ChannelForm({ channel }: { channel: Channel | null }): ReactNode {
  const { t } = useTranslation("operations");
  const navigate = useNavigate();
  const box = useRef<HTMLFormElement>(null);
  const back = (): void => void navigate({ to: "/operations/$section", params: { section: "channels" }, search: {} });
  const form = useChannelForm(channel, () => {
    notify(channel === null ? t("form.added") : t("form.saved"));
    back();
  });

  useBlocker({
    // Being signed out is not a choice.
    shouldBlockFn: ({ next }) => form.isUnsaved() && !next.pathname.startsWith("/login") && !confirm(t("form.leave")),
    enableBeforeUnload: form.isUnsaved,
  });

  useEffect(() => {
    if (form.refusals > 0) box.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus();
  }, [form.refusals]);

  const onSubmit = (event: FormEvent): void => {
    event.preventDefault();
    form.submit();
  };
  return (
    <form ref={box} noValidate className="flex flex-col gap-6" onSubmit={onSubmit}>
      <div className="flex items-center gap-2">
        <Button kind="quiet" size="icon" aria-label={t("form.back")} title={t("form.back")} onClick={back}>
          <ArrowLeft aria-hidden />
        </Button>
        <h2 ref={focusHeading} tabIndex={-1} className="font-display min-w-0 truncate text-2xl outline-none">{channel === null ? t("form.newTitle") : t("form.editTitle", { name: channel.name })}</h2>
      </div>
      <Upstream form={form} channel={channel} />
      <Models form={form} />
      {form.failure !== null && <Notice text={form.failure.text} requestId={form.failure.requestId} />}
      {Object.keys(form.errors).length > 0 && <p className="text-danger text-sm">{t("form.complaints")}</p>}
      <div className="flex flex-wrap items-center justify-end gap-2">
        <Button kind="quiet" onClick={back}>
          {t("cancel")}
        </Button>
        <Button kind="primary" type="submit" aria-disabled={form.busy}>
          {form.busy && <Spinner />}
          {channel === null ? t("form.add") : t("form.save")}
        </Button>
      </div>
    </form>
  );
}

function Upstream({ form, channel }: { form: Form; channel: Channel | null }): ReactNode {
  const { t } = useTranslation("operations");
  const { draft, edit, errors } = form;
  const providers = (["openai", "local"] as const).map((value) => ({
    value,
    label: t(`provider.${value}`),
    note: t(`provider.${value}Note`),
  }));
  return (
    <section className="panel flex flex-col gap-5 p-4 md:p-5" aria-label={t("form.upstreamTitle")}>
      <Field
        label={t("form.name")}
        hint={t("form.nameHint")}
        value={draft.name}
        maxLength={80}
        autoComplete="off"
        error={errors["name"]}
        onChange={(event) => edit({ name: event.target.value })}
      />
      <Choices
        legend={t("form.provider")}
        value={draft.provider}
        choices={providers}
        disabled={channel !== null}
        onChange={(provider) => edit({ provider })}
      />
      {draft.provider === "openai" && (
        <>
          <Address form={form} />
          <Keys form={form} channel={channel} />
        </>
      )}
      <div className="flex items-center justify-between gap-4">
        <div>
          <p aria-hidden className="text-sm font-medium">
            {t("form.enabled")}
          </p>
          <p className="text-muted text-sm">{t("form.enabledHint")}</p>
        </div>
        <Switch label={t("form.enabled")} checked={draft.enabled} onChange={(enabled) => edit({ enabled })} />
      </div>
    </section>
  );
}

function Address({ form: { draft, edit, errors } }: { form: Form }): ReactNode {
  const { t } = useTranslation("operations");
  return (
    <div className="flex flex-col gap-2">
      <Field
        label={t("form.baseUrl")}
        type="url"
        inputMode="url"
        placeholder={PRESETS[0].url}
        value={draft.base_url}
        autoComplete="off"
        autoCapitalize="none"
        spellCheck={false}
        error={errors["base_url"]}
        onChange={(event) => edit({ base_url: event.target.value })}
      />
      <div role="group" aria-label={t("form.presets")} className="flex flex-wrap gap-1.5">
        {PRESETS.map(({ name, url }) => (
          <Button key={name} size="small" shape="round" title={url} onClick={() => edit({ base_url: url })}>
            {name}
          </Button>
        ))}
      </div>
    </div>
  );
}

function Keys({ form: { draft, edit, errors }, channel }: { form: Form; channel: Channel | null }): ReactNode {
  const { t } = useTranslation("operations");
  const hint = channel === null || channel.key_hints.length === 0 ? t("form.keysHint") : t("form.keysKept", { hints: keyHints(channel) });
  return (
    <AreaField
      label={t("form.keys")}
      hint={hint}
      error={errors["keys"]}
      value={draft.keys}
      rows={2}
      data-secret
      autoComplete="off"
      autoCapitalize="none"
      spellCheck={false}
      onChange={(event) => edit({ keys: event.target.value })}
    />
  );
}

function Models({ form: { draft, edit, errors } }: { form: Form }): ReactNode {
  const { t } = useTranslation("operations");
  const change = (row: number, next: ModelDraft): void =>
    edit({ models: draft.models.map((model) => (model.row === row ? next : model)) });
  return (
    <section className="flex flex-col gap-3" aria-labelledby="channel-models">
      <div>
        <h3 id="channel-models" className="font-medium">
          {t("form.models")}
        </h3>
        <p className="text-muted text-sm">{t("form.modelsHint")}</p>
      </div>
      {errors["models"] !== undefined && <Notice text={errors["models"]} />}
      <ul className="flex flex-col gap-3">
        {draft.models.map((model, index) => (
          <ModelFields
            key={model.row}
            model={model}
            index={index}
            errors={errors}
            onChange={(next) => change(model.row, next)}
            onRemove={draft.models.length === 1 ? null : () => edit({ models: draft.models.filter((each) => each.row !== model.row) })}
          />
        ))}
      </ul>
      <Button className="self-start" onClick={() => edit({ models: [...draft.models, emptyModel()] })}>
        <Plus aria-hidden />
        {t("form.addModel")}
      </Button>
    </section>
  );
}
