/** The life of a sign-in form: busy, refused with errors beside fields, or done. */
import { useState, type FormEvent } from "react";
import { useTranslation } from "react-i18next";
import { ApiError } from "@/api/problem";
import { errorText, problemText } from "@/i18n/problems";

export interface Refusal {
  /** For the form as a whole; null when every complaint belongs to a field. */
  readonly text: string | null;
  readonly requestId: string | null;
  readonly fields: Readonly<Record<string, string>>;
}

/** Codes that name their field even when the server sends no `errors[]`. */
const FIELD_OF_CODE: Readonly<Record<string, string>> = {
  email_taken: "email",
  invalid_email: "email",
  username_taken: "username",
  invalid_username: "username",
  weak_password: "password",
};

export interface Submit {
  busy: boolean;
  refusal: Refusal | null;
  onSubmit: (event: FormEvent<HTMLFormElement>) => void;
}

/** `send` gets the form's fields by name; the first field with a complaint gets the focus. */
export function useSubmit(send: (values: (name: string) => string) => Promise<void>): Submit {
  const { t } = useTranslation();
  const [busy, setBusy] = useState(false);
  const [refusal, setRefusal] = useState<Refusal | null>(null);

  const refuse = (error: unknown): Refusal => {
    if (!(error instanceof ApiError)) return { text: errorText(t, error), requestId: null, fields: {} };
    const fields = Object.fromEntries(error.fields.map((field) => [field.field, problemText(t, field.code, field.message)]));
    const own = FIELD_OF_CODE[error.code];
    if (own !== undefined) fields[own] ??= errorText(t, error);
    const text = Object.keys(fields).length > 0 ? null : errorText(t, error);
    return { text, requestId: error.status >= 500 ? error.requestId : null, fields };
  };

  const onSubmit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault();
    if (busy) return;
    const form = event.currentTarget;
    const data = new FormData(form);
    const values = (name: string): string => {
      const value = data.get(name);
      return typeof value === "string" ? value : "";
    };
    setBusy(true);
    send(values)
      .then(() => setRefusal(null))
      .catch((error: unknown) => {
        const next = refuse(error);
        setRefusal(next);
        const first = Object.keys(next.fields)[0] ?? "password";
        form.querySelector<HTMLInputElement>(`[name="${CSS.escape(first)}"]`)?.focus();
      })
      .finally(() => setBusy(false));
  };
  return { busy, refusal, onSubmit };
}
