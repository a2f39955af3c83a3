/** What was typed and not yet accepted, per conversation and account, so that a reload or a crash loses nothing. */
import { readStored, removeStored, store } from "./storage";

/** An attempt to send whose outcome may be unknown: the same request again must carry the same key. */
export interface Attempt {
  readonly key: string;
  /** What the request said; another request needs another key. */
  readonly fingerprint: string;
}

export interface Draft {
  readonly text: string;
  readonly attempt: Attempt | null;
}

const EMPTY: Draft = { text: "", attempt: null };

function keyOf(userId: string, place: string): string {
  return `oblivious.draft.${userId}.${place}`;
}

function isDraft(value: unknown): value is Draft {
  if (typeof value !== "object" || value === null || !("text" in value) || !("attempt" in value)) return false;
  const { text, attempt } = value;
  if (typeof text !== "string") return false;
  if (attempt === null) return true;
  return typeof attempt === "object" && attempt !== undefined && "key" in attempt && "fingerprint" in attempt;
}

/** `place` is the session's id, or `new`. */
export function readDraft(userId: string, place: string): Draft {
  const stored = readStored(keyOf(userId, place));
  if (stored === null) return EMPTY;
  try {
    const value: unknown = JSON.parse(stored);
    return isDraft(value) ? value : EMPTY;
  } catch {
    return EMPTY;
  }
}

export function writeDraft(userId: string, place: string, draft: Draft): void {
  store(keyOf(userId, place), draft.text === "" ? null : JSON.stringify(draft));
}

export function clearDraft(userId: string, place: string): void {
  store(keyOf(userId, place), null);
}

export function clearDrafts(userId: string): void {
  removeStored(keyOf(userId, ""));
}
