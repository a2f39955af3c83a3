/** The life of a channel's form: typed, checked here, sent once, refused with complaints beside the fields, or done. */
import { useRef, useState } from "react";
import { useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { networkError } from "@/api/problem";
import { useProblemText } from "@/i18n/problems";
import { randomId } from "@/lib/uuid";
import type { Channel } from "@/features/operations/types";
import { createChannel, patchChannel } from "@/features/operations/writes";
import type { DraftProblem } from "../problems";
import { draftOf, emptyChannel, problemsOf, type ChannelDraft } from "./draft";
import { place } from "./placement";
import type { SettingsDraft } from "./settings-draft";
import { change, creation } from "./write";

/** Sentences by the place of their field. */
export type FieldErrors = Readonly<Record<string, string>>;

export interface FormFailure {
  readonly text: string;
  readonly requestId: string | null;
}

export interface ChannelForm {
  /** As it was when the form was opened; null for a new one. */
  before: Channel | null;
  draft: ChannelDraft;
  edit: (changes: Partial<ChannelDraft>) => void;
  editSettings: (changes: Partial<SettingsDraft>) => void;
  errors: FieldErrors;
  /** What belongs to no field. */
  failure: FormFailure | null;
  busy: boolean;
  /** Whether leaving would lose something. */
  isUnsaved: () => boolean;
  /** Counts refusals: the first field with a complaint gets the focus anew each time. */
  refusals: number;
  submit: () => void;
}

interface Outcome {
  errors: FieldErrors;
  failure: FormFailure | null;
}

const NO_OUTCOME: Outcome = { errors: {}, failure: null };

export function useDraftText(): (problem: DraftProblem) => string {
  const { t } = useTranslation("relay");
  return (problem) => t(`draft.${problem}`);
}

function useSave(channel: Channel | null): (draft: ChannelDraft) => Promise<void> {
  const client = useQueryClient();
  const attempt = useRef({ key: "", body: "" });
  return async (draft) => {
    if (channel !== null) {
      const patch = change(draft, channel);
      if (patch !== null) await patchChannel(client, channel.id, patch);
      return;
    }
    const body = creation(draft);
    const text = JSON.stringify(body);
    // The same channel is added once, however often it is sent; another one is another attempt.
    if (attempt.current.body !== text) attempt.current = { key: randomId(), body: text };
    try {
      await createChannel(client, body, attempt.current.key);
    } catch (cause) {
      // A refusal is stored under its key: trying again must be a new attempt.
      if (!networkError(cause).transient) attempt.current = { key: "", body: "" };
      throw cause;
    }
  };
}

/** `channel` is the one that is changed; null adds a new one. */
export function useChannelForm(channel: Channel | null, onSaved: () => void): ChannelForm {
  // As it was when the form was opened: what somebody else changes meanwhile is not put back.
  const [before] = useState(channel);
  const save = useSave(before);
  const draftText = useDraftText();
  const problemText = useProblemText("relay");
  const [first] = useState<ChannelDraft>(() => (before === null ? emptyChannel() : draftOf(before)));
  const [draft, setDraft] = useState(first);
  const [outcome, setOutcome] = useState<Outcome>(NO_OUTCOME);
  const [refusals, setRefusals] = useState(0);
  const [busy, setBusy] = useState(false);
  const inFlight = useRef(false);
  const saved = useRef(false);

  const refuse = (next: Outcome): void => {
    setOutcome(next);
    setRefusals((count) => count + 1);
  };

  const refused = (cause: unknown): void => {
    const error = networkError(cause);
    const { fields, rest } = place(error, draft.models.map((model) => model.name.trim()));
    const errors = Object.fromEntries(Object.entries(fields).map(([at, { code, detail }]) => [at, problemText(code, detail)]));
    const requestId = error.status >= 500 ? error.requestId : null;
    refuse({ errors, failure: rest === null ? null : { text: problemText(rest.code, rest.detail), requestId } });
  };

  const submit = (): void => {
    if (inFlight.current) return;
    const problems = Object.entries(problemsOf(draft, before));
    if (problems.length > 0) {
      refuse({ errors: Object.fromEntries(problems.map(([at, problem]) => [at, draftText(problem)])), failure: null });
      return;
    }
    inFlight.current = true;
    setBusy(true);
    save(draft)
      .then(() => {
        setOutcome(NO_OUTCOME);
        saved.current = true;
        onSaved();
      })
      .catch(refused)
      .finally(() => {
        inFlight.current = false;
        setBusy(false);
      });
  };

  const edit = (changes: Partial<ChannelDraft>): void => setDraft((now) => ({ ...now, ...changes }));
  const editSettings = (changes: Partial<SettingsDraft>): void => setDraft((now) => ({ ...now, settings: { ...now.settings, ...changes } }));
  const isUnsaved = (): boolean => !saved.current && JSON.stringify(draft) !== JSON.stringify(first);
  return { before, draft, edit, editSettings, errors: outcome.errors, failure: outcome.failure, busy, isUnsaved, refusals, submit };
}
