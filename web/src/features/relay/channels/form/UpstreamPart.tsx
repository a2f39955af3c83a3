/** Whose account a channel is: name, provider, address, keys, and whether it is switched on. */
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Field } from "@/components/ui/Field";
import { SelectField } from "@/features/operations/parts/SelectField";
import { Switch } from "@/features/operations/parts/Switch";
import type { Provider } from "@/features/operations/types";
import { needsAddress, OWN_SERVERS, PROVIDERS } from "../draft";
import type { ChannelForm } from "../use-channel-form";
import { KeysEditor } from "./KeysEditor";

export function UpstreamPart({ form }: { form: ChannelForm }): ReactNode {
  const { t } = useTranslation("relay");
  const { draft, edit, errors, before } = form;
  const options = (providers: readonly Provider[]): ReactNode =>
    providers.map((provider) => (
      <option key={provider} value={provider}>
        {t(`provider.${provider}`)}
      </option>
    ));
  return (
    <section className="panel flex flex-col gap-5 p-4 md:p-5" aria-label={t("form.upstreamTitle")}>
      <div className="grid items-start gap-4 md:grid-cols-2">
        <Field
          label={t("form.name")}
          hint={t("form.nameHint")}
          value={draft.name}
          maxLength={80}
          autoComplete="off"
          error={errors["name"]}
          onChange={(event) => edit({ name: event.target.value })}
        />
        <SelectField
          label={t("form.provider")}
          hint={before === null ? t("form.providerHint") : t("form.providerFixed")}
          value={draft.provider}
          disabled={before !== null}
          error={errors["provider"]}
          onChange={(event) => edit({ provider: event.target.value as Provider })}
        >
          <optgroup label={t("form.providers")}>{options(PROVIDERS)}</optgroup>
          <optgroup label={t("form.ownServers")}>{options(OWN_SERVERS)}</optgroup>
        </SelectField>
      </div>
      {draft.provider === "local" ? (
        <p className="text-muted text-sm">{t("provider.localNote")}</p>
      ) : (
        <>
          <Field
            label={t("form.baseUrl")}
            hint={needsAddress(draft.provider) || before?.base_url != null ? t("form.baseUrlNeeded") : t("form.baseUrlOwn")}
            type="url"
            inputMode="url"
            value={draft.base_url}
            autoComplete="off"
            autoCapitalize="none"
            spellCheck={false}
            error={errors["base_url"]}
            onChange={(event) => edit({ base_url: event.target.value })}
          />
          <KeysEditor form={form} />
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
