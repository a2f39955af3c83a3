/**
 * The text of replies being written, outside React. Frames are applied as they come, duplicates dropped by offset;
 * subscribers hear of a reply at most once per painted frame, and only those of that message.
 */
import { useCallback, useSyncExternalStore } from "react";
import { countCodePoints, dropCodePoints } from "@/lib/codepoints";
import type { DoneFrame, ReplyFrame } from "./frames";

export interface LiveReply {
  readonly runId: string;
  readonly sessionId: string;
  readonly messageId: string;
  readonly attempt: number;
  readonly text: string;
  /** Length of `text` in code points: the offset that the next delta should start at. */
  readonly offset: number;
  /** Set when the run is over; the read model then has the whole message. */
  readonly end: Pick<DoneFrame, "status" | "error"> | null;
}

/** `gap`: the frame starts after what we have; the stream must be resumed from our cursor. */
export type Applied = "applied" | "duplicate" | "gap";

/** Runs `publish` later, together with whatever else changes until then. */
export type Schedule = (publish: () => void) => void;

/** Finished replies kept for rows that have not read the read model yet. */
const KEPT_FINISHED = 20;
/** Hidden tabs paint no frames; their status region still wants to know. */
const HIDDEN_TAB_MS = 250;

function nextFrame(publish: () => void): void {
  if (document.hidden) setTimeout(publish, HIDDEN_TAB_MS);
  else requestAnimationFrame(publish);
}

export class LiveReplies {
  readonly #working = new Map<string, LiveReply>();
  readonly #published = new Map<string, LiveReply>();
  readonly #listeners = new Map<string, Set<() => void>>();
  readonly #dirty = new Set<string>();
  readonly #schedule: Schedule;
  #scheduled = false;

  constructor(schedule: Schedule = nextFrame) {
    this.#schedule = schedule;
  }

  apply(frame: ReplyFrame): Applied {
    const known = this.#working.get(frame.message_id);
    if (known !== undefined && frame.attempt < known.attempt) return "duplicate";
    const current = known !== undefined && known.attempt === frame.attempt ? known : emptyReply(frame);
    if (frame.type === "reset") return this.#put(emptyReply(frame));
    if (frame.type === "done") {
      return this.#put({ ...current, end: { status: frame.status, error: frame.error } });
    }
    if (frame.offset > current.offset) return "gap";
    const fresh = frame.offset === current.offset ? frame.text : dropCodePoints(frame.text, current.offset - frame.offset);
    if (fresh === "") return "duplicate";
    return this.#put({ ...current, text: current.text + fresh, offset: current.offset + countCodePoints(fresh) });
  }

  /** Whether anything was heard of this message's reply, published or not. */
  has(messageId: string): boolean {
    return this.#working.has(messageId);
  }

  /** The published state of a message's reply. */
  get(messageId: string): LiveReply | undefined {
    return this.#published.get(messageId);
  }

  /** `run:attempt:offset` of every unfinished reply: where the stream should go on. */
  cursors(): string[] {
    const unfinished = [...this.#working.values()].filter((reply) => reply.end === null);
    return unfinished.map((reply) => `${reply.runId}:${reply.attempt}:${reply.offset}`);
  }

  /** Sessions that have an unfinished reply. */
  activeSessions(): ReadonlySet<string> {
    const active = [...this.#working.values()].filter((reply) => reply.end === null);
    return new Set(active.map((reply) => reply.sessionId));
  }

  subscribe(messageId: string, listener: () => void): () => void {
    const listeners = this.#listeners.get(messageId) ?? new Set();
    this.#listeners.set(messageId, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) this.#listeners.delete(messageId);
    };
  }

  /** Drops a reply that the read model has in full. */
  forget(messageId: string): void {
    this.#working.delete(messageId);
    this.#published.delete(messageId);
  }

  clear(): void {
    this.#working.clear();
    this.#published.clear();
  }

  #put(reply: LiveReply): "applied" {
    this.#working.set(reply.messageId, reply);
    this.#dirty.add(reply.messageId);
    if (reply.end !== null) this.#dropOldest();
    if (!this.#scheduled) {
      this.#scheduled = true;
      this.#schedule(() => this.#publish());
    }
    return "applied";
  }

  #publish(): void {
    this.#scheduled = false;
    const changed = [...this.#dirty];
    this.#dirty.clear();
    for (const messageId of changed) {
      const reply = this.#working.get(messageId);
      if (reply !== undefined) this.#published.set(messageId, reply);
    }
    for (const messageId of changed) for (const listener of this.#listeners.get(messageId) ?? []) listener();
  }

  #dropOldest(): void {
    const finished = [...this.#working.values()].filter((reply) => reply.end !== null);
    for (const reply of finished.slice(0, Math.max(0, finished.length - KEPT_FINISHED))) this.forget(reply.messageId);
  }
}

function emptyReply(frame: ReplyFrame): LiveReply {
  return {
    runId: frame.run_id,
    sessionId: frame.session_id,
    messageId: frame.message_id,
    attempt: frame.attempt,
    text: "",
    offset: 0,
    end: null,
  };
}

/** The replies of this tab. */
export const liveReplies = new LiveReplies();

const nothing = (): void => {};

/** The reply being written to this message; `watch` false subscribes to nothing. */
export function useLiveReply(messageId: string, watch: boolean): LiveReply | undefined {
  const subscribe = useCallback(
    (listener: () => void) => (watch ? liveReplies.subscribe(messageId, listener) : nothing),
    [messageId, watch],
  );
  return useSyncExternalStore(subscribe, () => liveReplies.get(messageId));
}
