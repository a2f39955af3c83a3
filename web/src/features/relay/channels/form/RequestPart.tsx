/** What a channel changes about the requests that go through it: fields of the body, headers, the way out. */
import type { ReactNode } from "react";
import { Plus, Trash2 } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/ui/Button";
import { Field } from "@/components/ui/Field";
import { IconButton } from "@/components/ui/IconButton";
import { Notice } from "@/components/ui/Notice";
import { Fold } from "@/features/operations/parts/Fold";
import { SelectField } from "@/features/operations/parts/SelectField";
import { troubled } from "../../problems";
import { ACTIONS, emptyHeader, emptyParameter, isKept, type Action, type HeaderDraft, type ParameterDraft } from "../settings-draft";
import type { ChannelForm } from "../use-channel-form";

const PLAIN = { autoComplete: "off", autoCapitalize: "none", spellCheck: false } as const;
/** Shapes of what is typed, the same in every language. */
const EXAMPLE = { path: "reasoning.effort", value: '"high"', to: "max_completion_tokens", header: "OpenAI-Organization", proxy: "socks5h://proxy.internal:1080" };

export function RequestPart({ form }: { form: ChannelForm }): ReactNode {
  const { t } = useTranslation("relay");
  const { draft, editSettings, errors, refusals, before } = form;
  const { parameters, headers, proxy } = draft.settings;
  const said = [
    ...(parameters.length === 0 ? [] : [t("request.parameterCount", { count: parameters.length })]),
    ...(headers.length === 0 ? [] : [t("request.headerCount", { count: headers.length })]),
    ...(proxy.trim() === "" ? [] : [t("request.viaProxy")]),
  ];
  const own = ["parameters", "headers", "proxy"] as const;
  return (
    <Fold title={t("request.title")} digest={said.length === 0 ? t("request.none") : said.join(" · ")} troubled={troubled(errors, ...own)} refusals={refusals}>
      <Parameters form={form} />
      <Headers form={form} />
      <Field
        label={t("request.proxy")}
        hint={before?.proxy == null ? t("request.proxyHint") : t("request.proxyKept")}
        placeholder={EXAMPLE.proxy}
        value={proxy}
        error={errors["proxy"]}
        onChange={(event) => editSettings({ proxy: event.target.value })}
        {...PLAIN}
      />
    </Fold>
  );
}

function Parameters({ form: { draft, editSettings, errors } }: { form: ChannelForm }): ReactNode {
  const { t } = useTranslation("relay");
  const { parameters } = draft.settings;
  const change = (row: number, next: Partial<ParameterDraft>): void =>
    editSettings({ parameters: parameters.map((each) => (each.row === row ? { ...each, ...next } : each)) });
  return (
    <fieldset className="flex flex-col gap-3">
      <legend className="mb-1 text-sm font-medium">{t("request.parameters")}</legend>
      <p className="text-muted text-sm text-pretty">{t("request.parametersHint")}</p>
      {errors["parameters"] !== undefined && <Notice text={errors["parameters"]} />}
      {parameters.map((parameter, index) => {
        const text = (field: "path" | "value" | "to") => ({
          value: parameter[field],
          placeholder: EXAMPLE[field],
          error: errors[`parameters.${index}.${field}`],
          onChange: (event: { target: { value: string } }) => change(parameter.row, { [field]: event.target.value }),
          ...PLAIN,
        });
        return (
          <div key={parameter.row} role="group" aria-label={t("request.parameter", { number: index + 1 })} className="override">
            <SelectField label={t("request.action")} value={parameter.action} onChange={(event) => change(parameter.row, { action: event.target.value as Action })}>
              {ACTIONS.map((action) => (
                <option key={action} value={action}>
                  {t(`action.${action}`)}
                </option>
              ))}
            </SelectField>
            <Field label={t("request.path")} {...text("path")} />
            {(parameter.action === "set" || parameter.action === "default") && <Field label={t("request.value")} {...text("value")} />}
            {parameter.action === "rename" && <Field label={t("request.to")} {...text("to")} />}
            <IconButton
              className="override-remove"
              label={t("request.removeParameter", { number: index + 1 })}
              onClick={() => editSettings({ parameters: parameters.filter((each) => each.row !== parameter.row) })}
            >
              <Trash2 aria-hidden />
            </IconButton>
          </div>
        );
      })}
      <Button className="self-start" size="small" onClick={() => editSettings({ parameters: [...parameters, emptyParameter()] })}>
        <Plus aria-hidden />
        {t("request.addParameter")}
      </Button>
    </fieldset>
  );
}

function Headers({ form: { draft, editSettings, errors } }: { form: ChannelForm }): ReactNode {
  const { t } = useTranslation("relay");
  const { headers } = draft.settings;
  const change = (row: number, next: Partial<HeaderDraft>): void =>
    editSettings({ headers: headers.map((each) => (each.row === row ? { ...each, ...next } : each)) });
  return (
    <fieldset className="flex flex-col gap-3">
      <legend className="mb-1 text-sm font-medium">{t("request.headers")}</legend>
      <p className="text-muted text-sm text-pretty">{t("request.headersHint")}</p>
      {errors["headers"] !== undefined && <Notice text={errors["headers"]} />}
      {headers.map((header, index) => (
        <div key={header.row} role="group" aria-label={t("request.header", { number: index + 1 })} className="override">
          <Field
            label={t("request.headerName")}
            placeholder={EXAMPLE.header}
            value={header.name}
            error={errors[`headers.${index}.name`]}
            onChange={(event) => change(header.row, { name: event.target.value })}
            {...PLAIN}
          />
          <Field
            label={t("request.headerValue")}
            type={header.secret ? "password" : "text"}
            placeholder={isKept(header) ? t("request.kept") : ""}
            value={header.value}
            error={errors[`headers.${index}.value`]}
            onChange={(event) => change(header.row, { value: event.target.value })}
            {...PLAIN}
            autoComplete="new-password"
          />
          <label className="tick self-end">
            <input type="checkbox" checked={header.secret} disabled={isKept(header)} onChange={(event) => change(header.row, { secret: event.target.checked })} />
            {t("request.secret")}
          </label>
          <IconButton
            className="override-remove"
            label={t("request.removeHeader", { number: index + 1 })}
            onClick={() => editSettings({ headers: headers.filter((each) => each.row !== header.row) })}
          >
            <Trash2 aria-hidden />
          </IconButton>
        </div>
      ))}
      <Button className="self-start" size="small" onClick={() => editSettings({ headers: [...headers, emptyHeader()] })}>
        <Plus aria-hidden />
        {t("request.addHeader")}
      </Button>
    </fieldset>
  );
}
