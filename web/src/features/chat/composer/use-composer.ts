/**
 * The life of a draft: kept while typed, sent under one idempotency key however often it is tried, and cleared only
 * when the server has accepted it. The text stays in the textarea, outside React.
 */
import { useCallback, useEffect, useRef, useState, type RefObject } from "react";
import { ApiError, networkError } from "@/api/problem";
import { clearDraft, readDraft, writeDraft, type Attempt } from "@/lib/drafts";
import { randomId } from "@/lib/uuid";

const SAVE_MS = 300;

export interface Composed {
  content: string;
  model: string | null;
  parentId: string | null | undefined;
  idempotencyKey: string;
}

interface Options {
  userId: string;
  /** The session's id, or `new`. */
  place: string;
  model: string | null;
  parentId: string | null | undefined;
  send: (message: Composed) => Promise<void>;
}

export interface ComposerState {
  area: RefObject<HTMLTextAreaElement | null>;
  sending: boolean;
  /** Whether there is nothing to send. */
  blank: boolean;
  failure: ApiError | null;
  changed: () => void;
  submit: () => void;
  dismiss: () => void;
}

export function useComposer({ userId, place, model, parentId, send }: Options): ComposerState {
  const area = useRef<HTMLTextAreaElement>(null);
  const attempt = useRef<Attempt | null>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const inFlight = useRef(false);
  const [sending, setSending] = useState(false);
  const [blank, setBlank] = useState(true);
  const [failure, setFailure] = useState<ApiError | null>(null);

  const save = useCallback((): void => {
    clearTimeout(timer.current);
    if (area.current !== null) writeDraft(userId, place, { text: area.current.value, attempt: attempt.current });
  }, [userId, place]);

  useEffect(() => {
    const draft = readDraft(userId, place);
    attempt.current = draft.attempt;
    if (area.current !== null) area.current.value = draft.text;
    setBlank(draft.text.trim() === "");
    addEventListener("pagehide", save);
    return () => {
      removeEventListener("pagehide", save);
      clearTimeout(timer.current);
    };
  }, [userId, place, save]);

  const changed = (): void => {
    setBlank(area.current === null || area.current.value.trim() === "");
    clearTimeout(timer.current);
    timer.current = setTimeout(save, SAVE_MS);
  };

  const attemptOf = (content: string): Attempt => {
    const fingerprint = JSON.stringify([content, model, parentId ?? null]);
    return attempt.current?.fingerprint === fingerprint ? attempt.current : { key: randomId(), fingerprint };
  };

  const deliver = async (content: string): Promise<void> => {
    attempt.current = attemptOf(content);
    save();
    try {
      await send({ content, model, parentId, idempotencyKey: attempt.current.key });
      attempt.current = null;
      clearDraft(userId, place);
      // What was typed while the message was on its way stays.
      if (area.current?.value === content) area.current.value = "";
      setFailure(null);
    } catch (cause) {
      const error = networkError(cause);
      // A refusal is stored under its key: trying again is a new attempt. An unknown outcome keeps the key.
      if (!error.transient) attempt.current = null;
      setFailure(error);
    }
    changed();
  };

  const submit = (): void => {
    const content = area.current?.value ?? "";
    if (inFlight.current || content.trim() === "") return;
    inFlight.current = true;
    setSending(true);
    void deliver(content).finally(() => {
      inFlight.current = false;
      setSending(false);
    });
  };

  return { area, sending, blank, failure, changed, submit, dismiss: () => setFailure(null) };
}
