/** The life of the form that makes a key: what is checked before the server is asked, and what it complains about. */
import { useRef, useState } from "react";
import { useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { ApiError } from "@/api/problem";
import type { CreatedApiKey, NewApiKey } from "@/api/types";
import { useProblemText } from "@/i18n/problems";
import { randomId } from "@/lib/uuid";
import { expiryMoment, type Expiry } from "./expiry";
import { createKey } from "./queries";
import type { Scope } from "./scopes";

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

/** A request whose outcome is not known yet: tried again as it was, its moments included. */
interface Attempt {
  draft: KeyDraft;
  wanted: NewApiKey;
  idempotencyKey: string;
}

function attemptOf(draft: KeyDraft, expiresAt: string | undefined): Attempt {
  const wanted: NewApiKey = {
    name: draft.name.trim(),
    scopes: [...draft.scopes],
    ...(draft.models === null ? {} : { models: [...draft.models] }),
    ...(expiresAt === undefined ? {} : { expires_at: expiresAt }),
  };
  return { draft, wanted, idempotencyKey: randomId() };
}

export interface NewKeyState extends State {
  submit: (draft: KeyDraft) => void;
}

export function useNewKey(onCreated: (key: CreatedApiKey) => void): NewKeyState {
  const { t } = useTranslation("keys");
  const text = useProblemText("keys");
  const client = useQueryClient();
  const attempt = useRef<Attempt | null>(null);
  const [state, setState] = useState(QUIET);

  const refused = (error: unknown): State => {
    if (!(error instanceof ApiError)) return { ...QUIET, failure: { text: text("unknown", ""), requestId: null } };
    // A refusal is stored under its key; an unknown outcome keeps it.
    if (!error.transient) attempt.current = null;
    const sentence = text(error.code, error.detail);
    const field = FIELD_OF_CODE[error.code];
    if (field !== undefined) return { ...QUIET, complaints: { [field]: sentence } };
    return { ...QUIET, failure: { text: sentence, requestId: error.requestId } };
  };

  const submit = (draft: KeyDraft): void => {
    if (state.busy) return;
    const expiresAt = expiryMoment(draft.expiry, draft.day, new Date());
    const complaints: Complaints = {
      ...(draft.name.trim() === "" ? { name: t("form.nameMissing") } : {}),
      ...(draft.scopes.length === 0 ? { scopes: t("form.scopesMissing") } : {}),
      ...(draft.models?.length === 0 ? { models: t("form.modelsMissing") } : {}),
      ...(expiresAt === null ? { expiry: t("problem.invalid_expiry") } : {}),
    };
    const sound = expiresAt !== null && Object.keys(complaints).length === 0;
    setState({ ...QUIET, complaints, busy: sound });
    if (!sound) return;
    if (attempt.current?.draft !== draft) attempt.current = attemptOf(draft, expiresAt);
    const { wanted, idempotencyKey } = attempt.current;
    createKey(client, wanted, idempotencyKey).then(onCreated, (error: unknown) => setState(refused(error)));
  };
  return { ...state, submit };
}
