/** The frames of the event stream (docs/API.md, "Frames of a run" and "One stream per tab"). */
import type { ServerEvent } from "@/lib/sse";

interface RunFrame {
  run_id: string;
  session_id: string;
  message_id: string;
  attempt: number;
}

export interface DeltaFrame extends RunFrame {
  type: "delta";
  /** Where `text` starts, in code points of the attempt's text. */
  offset: number;
  text: string;
}

export interface ResetFrame extends RunFrame {
  type: "reset";
}

export interface DoneFrame extends RunFrame {
  type: "done";
  status: "complete" | "stopped" | "failed";
  error: { code: string; message: string } | null;
}

export interface ChangedFrame {
  type: "changed";
  /** A newer server may add topics. */
  topic: "sessions" | "messages" | "me" | "wallet" | "api_keys" | (string & {});
  session_id: string | null;
  position: number;
}

export interface PositionsFrame {
  type: "positions";
  billing_v1?: number;
  chat_v1?: number;
  users_v1?: number;
}

export type ReplyFrame = DeltaFrame | ResetFrame | DoneFrame;
export type Frame = ReplyFrame | ChangedFrame | PositionsFrame;

const TYPES: ReadonlySet<string> = new Set<Frame["type"]>(["delta", "reset", "done", "changed", "positions"]);

/** The typed frame of an event; null for kinds that a newer server may add and for data that is not an object. */
export function frameOf(event: ServerEvent): Frame | null {
  if (!TYPES.has(event.event)) return null;
  try {
    const data: unknown = JSON.parse(event.data);
    if (typeof data !== "object" || data === null) return null;
    return { ...data, type: event.event } as Frame;
  } catch {
    return null;
  }
}

export function isReplyFrame(frame: Frame): frame is ReplyFrame {
  return frame.type === "delta" || frame.type === "reset" || frame.type === "done";
}
