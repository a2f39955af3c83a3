/** The life of the form that makes a key: what is checked before the server is asked, and what it complains about. */
import { useState } from "react";
import { useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { ApiError } from "@/api/problem";
import { useProblemText } from "@/i18n/problems";
import { expiryMoment, type Expiry } from "./expiry";
import { createKey } from "./queries";
import type { CreatedKey, NewKey, Scope } from "./wire";

export interface KeyDraft {
  name: string;
  scopes: readonly Scope[];
  /** Null: every model. */
  models: readonly string[] | null;
  expiry: Expiry;
  day: string;
}

export type KeyField = "name" | "scopes" | "models" | "expiry";
export type Complaints = Partial<Record<KeyField, string>>;

const FIELD_OF_CODE: Readonly<Record<string, KeyField>> = { invalid_name: "name", invalid_expiry: "expiry" };

interface State {
  busy: boolean;
  complaints: Complaints;
  /** A failure that belongs to no field. */
  failure: { text: string; requestId: string | null } | null;
}

const QUIET: State = { busy: false, complaints: {}, failure: null };

export interface NewKeyState extends State {
  submit: (draft: KeyDraft) => void;
}

export function useNewKey(onCreated: (key: CreatedKey) => void): NewKeyState {
  const { t } = useTranslation("keys");
  const text = useProblemText("keys");
  const client = useQueryClient();
  const [state, setState] = useState(QUIET);

  const refused = (error: unknown): State => {
    if (!(error instanceof ApiError)) return { ...QUIET, failure: { text: text("unknown", ""), requestId: null } };
    const sentence = text(error.code, error.detail);
    const field = FIELD_OF_CODE[error.code];
    if (field !== undefined) return { ...QUIET, complaints: { [field]: sentence } };
    return { ...QUIET, failure: { text: sentence, requestId: error.requestId } };
  };

  const submit = (draft: KeyDraft): void => {
    if (state.busy) return;
    const name = draft.name.trim();
    const expiresAt = expiryMoment(draft.expiry, draft.day, new Date());
    const complaints: Complaints = {
      ...(name === "" ? { name: t("form.nameMissing") } : {}),
      ...(draft.scopes.length === 0 ? { scopes: t("form.scopesMissing") } : {}),
      ...(draft.models?.length === 0 ? { models: t("form.modelsMissing") } : {}),
      ...(expiresAt === null ? { expiry: t("problem.invalid_expiry") } : {}),
    };
    setState({ ...QUIET, complaints, busy: Object.keys(complaints).length === 0 });
    if (Object.keys(complaints).length > 0) return;
    const wanted: NewKey = {
      name,
      scopes: [...draft.scopes],
      ...(draft.models === null ? {} : { models: [...draft.models] }),
      ...(expiresAt == null ? {} : { expires_at: expiresAt }),
    };
    createKey(client, wanted).then(onCreated, (error: unknown) => setState(refused(error)));
  };
  return { ...state, submit };
}
