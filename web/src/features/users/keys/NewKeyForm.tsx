import { useEffect, useId, useRef, useState, type FormEvent, type ReactNode } from "react";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import type { CreatedApiKey } from "@/api/types";
import { Button } from "@/components/ui/Button";
import { Field } from "@/components/ui/Field";
import { Notice } from "@/components/ui/Notice";
import { Spinner } from "@/components/ui/Spinner";
import { modelsQuery } from "@/features/chat/queries";
import { EXPIRIES, type Expiry } from "./expiry";
import { SCOPES } from "./scopes";
import { useNewKey, type KeyDraft } from "./use-new-key";

/** The server's limit, in characters. */
const MAX_NAME = 80;
const FIRST: KeyDraft = { name: "", scopes: ["chat", "models"], models: null, expiry: "never", day: "" };

function toggled<T>(list: readonly T[], item: T): T[] {
  return list.includes(item) ? list.filter((each) => each !== item) : [...list, item];
}

export function NewKeyForm({ onCreated }: { onCreated: (key: CreatedApiKey) => void }): ReactNode {
  const { t } = useTranslation("keys");
  const { busy, complaints, failure, submit } = useNewKey(onCreated);
  const [draft, setDraft] = useState(FIRST);
  const form = useRef<HTMLFormElement>(null);
  const set = (change: Partial<KeyDraft>): void => setDraft({ ...draft, ...change });
  useEffect(() => {
    if (Object.keys(complaints).length > 0) form.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus();
  }, [complaints]);
  const onSubmit = (event: FormEvent): void => {
    event.preventDefault();
    submit(draft);
  };
  return (
    <form ref={form} onSubmit={onSubmit} className="flex flex-col gap-5 pb-2" noValidate>
      {failure !== null && <Notice text={failure.text} requestId={failure.requestId} />}
      <Field
        label={t("form.name")}
        hint={t("form.nameHint")}
        maxLength={MAX_NAME}
        autoComplete="off"
        value={draft.name}
        error={complaints.name}
        onChange={(event) => set({ name: event.target.value })}
      />
      <Checks
        legend={t("form.scopes")}
        error={complaints.scopes}
        options={SCOPES.map((scope) => ({ value: scope, label: t(`scope.${scope}`), note: t(`scopeText.${scope}`) }))}
        chosen={draft.scopes}
        onToggle={(scope) => set({ scopes: toggled(draft.scopes, scope) })}
      />
      <Models draft={draft} set={set} error={complaints.models} />
      <ExpiryFields draft={draft} set={set} error={complaints.expiry} />
      <Button kind="primary" type="submit" disabled={busy}>
        {busy && <Spinner />}
        {t("form.create")}
      </Button>
    </form>
  );
}

interface CheckProps {
  label: string;
  note?: string | undefined;
  checked: boolean;
  invalid?: boolean;
  onToggle: () => void;
}

function Check({ label, note, checked, invalid = false, onToggle }: CheckProps): ReactNode {
  return (
    <label className="check">
      <input type="checkbox" checked={checked} aria-invalid={invalid} onChange={onToggle} />
      <span className="flex min-w-0 flex-col">
        <span className="wrap-anywhere">{label}</span>
        {note !== undefined && <span className="text-muted text-xs text-pretty">{note}</span>}
      </span>
    </label>
  );
}

interface ChecksProps<T extends string> {
  legend: string;
  options: readonly { value: T; label: string; note?: string }[];
  chosen: readonly T[];
  error: string | undefined;
  onToggle: (value: T) => void;
}

function Checks<T extends string>({ legend, options, chosen, error, onToggle }: ChecksProps<T>): ReactNode {
  const id = useId();
  return (
    <fieldset className="flex flex-col" aria-describedby={error === undefined ? undefined : id}>
      <legend className="mb-1 text-sm font-medium">{legend}</legend>
      {options.map((option) => (
        <Check
          key={option.value}
          label={option.label}
          note={option.note}
          checked={chosen.includes(option.value)}
          invalid={error !== undefined}
          onToggle={() => onToggle(option.value)}
        />
      ))}
      {error !== undefined && (
        <p id={id} className="text-danger text-sm" role="alert">
          {error}
        </p>
      )}
    </fieldset>
  );
}

interface PartProps {
  draft: KeyDraft;
  set: (change: Partial<KeyDraft>) => void;
  error: string | undefined;
}

function Models({ draft, set, error }: PartProps): ReactNode {
  const { t } = useTranslation("keys");
  const { data } = useQuery(modelsQuery());
  const offered = data?.items.map((model) => ({ value: model.id, label: model.id })) ?? [];
  const chosen = draft.models;
  return (
    <div className="flex flex-col">
      <Check label={t("allModels")} note={t("form.allModelsText")} checked={chosen === null} onToggle={() => set({ models: chosen === null ? [] : null })} />
      {chosen !== null && (
        <div className="mt-2 pl-7">
          <Checks legend={t("form.models")} options={offered} chosen={chosen} error={error} onToggle={(model) => set({ models: toggled(chosen, model) })} />
        </div>
      )}
    </div>
  );
}

function ExpiryFields({ draft, set, error }: PartProps): ReactNode {
  const { t } = useTranslation("keys");
  const id = useId();
  return (
    <div className="flex flex-col gap-3">
      <div className="flex flex-col gap-1.5">
        <label htmlFor={id} className="text-sm font-medium">
          {t("form.expiry")}
        </label>
        <div className="field">
          <select id={id} className="select" value={draft.expiry} onChange={(event) => set({ expiry: event.target.value as Expiry })}>
            {EXPIRIES.map((expiry) => (
              <option key={expiry} value={expiry}>
                {t(`form.expiryChoice.${expiry}`)}
              </option>
            ))}
          </select>
        </div>
      </div>
      {draft.expiry === "date" && (
        <Field label={t("form.lastDay")} type="date" value={draft.day} error={error} onChange={(event) => set({ day: event.target.value })} />
      )}
      {draft.expiry !== "date" && error !== undefined && (
        <p className="text-danger text-sm" role="alert">
          {error}
        </p>
      )}
    </div>
  );
}
