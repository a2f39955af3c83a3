/**
 * The one event stream of this tab. Any end that nobody asked for reconnects: with back-off and jitter, at once when
 * the network or the tab comes back, and after 20 s of silence (the server pings every 10 s). Resumes by cursors.
 */
import { authorised } from "@/api/transport";
import { SseParser } from "@/lib/sse";
import { pause } from "@/lib/time";
import { frameOf, type Frame } from "./frames";

export type Connection = "connecting" | "open" | "waiting";

export interface StreamEvents {
  /** Where to go on, asked before each connection. */
  cursors: () => string[];
  /** Answer `"resume"` to drop the connection and go on from the cursors. */
  frame: (frame: Frame) => "resume" | void;
  connection: (state: Connection) => void;
}

const SILENCE_MS = 20_000;
const BACKOFF_FIRST_MS = 250;
const BACKOFF_MAX_MS = 15_000;
/** A tab that comes back after this long without a byte does not trust its connection. */
const STALE_ON_RETURN_MS = 12_000;
/** The number of cursors one request carries; more unfinished replies than this are answered from their start. */
const MAX_CURSORS = 20;

/** The wait before attempt `failures` (from 1): doubling, capped, the upper half random. */
export function backoffMs(failures: number, random: number): number {
  const ceiling = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** Math.min(failures - 1, 10));
  return ceiling / 2 + (ceiling / 2) * random;
}

function streamUrl(cursors: string[]): string {
  const url = new URL("/api/v1/events/stream", location.origin);
  for (const cursor of cursors.slice(0, MAX_CURSORS)) url.searchParams.append("resume", cursor);
  return url.href;
}

export class EventStream {
  readonly #events: StreamEvents;
  readonly #stopped = new AbortController();
  #connection: AbortController | null = null;
  #wake: AbortController | null = null;
  #lastByteAt = 0;
  #failures = 0;

  constructor(events: StreamEvents) {
    this.#events = events;
  }

  start(): void {
    const { signal } = this.#stopped;
    addEventListener("online", this.#hurry, { signal });
    document.addEventListener("visibilitychange", this.#onVisible, { signal });
    void this.#run();
  }

  stop(): void {
    this.#stopped.abort(new Error("stream stopped"));
    this.#connection?.abort(new Error("stream stopped"));
    this.#wake?.abort(new Error("stream stopped"));
  }

  /** Ends a wait, or replaces a connection that may be dead. */
  readonly #hurry = (): void => {
    this.#failures = 0;
    this.#wake?.abort(new Error("hurry"));
    if (Date.now() - this.#lastByteAt > STALE_ON_RETURN_MS) this.#connection?.abort(new Error("stale connection"));
  };

  readonly #onVisible = (): void => {
    if (!document.hidden) this.#hurry();
  };

  async #run(): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      this.#events.connection("connecting");
      try {
        await this.#connect();
        // An orderly end (a deploy, a proxy's limit): go on at once.
      } catch {
        this.#failures += 1;
      }
      if (this.#stopped.signal.aborted) return;
      this.#events.connection("waiting");
      this.#wake = new AbortController();
      await pause(backoffMs(Math.max(1, this.#failures), Math.random()), this.#wake.signal).catch(() => undefined);
      this.#wake = null;
    }
  }

  async #connect(): Promise<void> {
    const connection = new AbortController();
    this.#connection = connection;
    let watchdog: ReturnType<typeof setTimeout> | undefined;
    const heard = (): void => {
      this.#lastByteAt = Date.now();
      clearTimeout(watchdog);
      watchdog = setTimeout(() => connection.abort(new Error("silence")), SILENCE_MS);
    };
    try {
      heard();
      const headers = { accept: "text/event-stream" };
      const url = streamUrl(this.#events.cursors());
      const response = await authorised(new Request(url, { headers, signal: connection.signal, cache: "no-store" }));
      if (!response.ok || response.body === null) throw new Error(`stream refused: ${response.status}`);
      this.#events.connection("open");
      await this.#read(response.body, connection.signal, heard);
    } finally {
      clearTimeout(watchdog);
      connection.abort(new Error("done"));
      this.#connection = null;
    }
  }

  async #read(body: ReadableStream<Uint8Array>, signal: AbortSignal, heard: () => void): Promise<void> {
    const reader = body.getReader();
    // A dead connection may never fail by itself.
    signal.addEventListener("abort", () => void reader.cancel().catch(() => undefined), { once: true });
    const decoder = new TextDecoder();
    const parser = new SseParser();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      heard();
      this.#failures = 0;
      for (const event of parser.push(decoder.decode(value, { stream: true }))) {
        const frame = frameOf(event);
        if (frame !== null && this.#events.frame(frame) === "resume") return;
      }
    }
  }
}
