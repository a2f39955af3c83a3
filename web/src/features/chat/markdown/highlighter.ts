/** The page's side of highlighting: one worker for all code, lines sent as they become whole. */
import { useEffect, useRef, useState } from "react";
import type { HighlightAnswer, HighlightRequest, TokenLine } from "./highlight.protocol";

type Listener = (lines: readonly TokenLine[]) => void;

/** Finished code blocks whose colours are kept for rows that scroll back into view. */
const MAX_CACHED = 200;
const finished = new Map<string, readonly TokenLine[]>();
const listeners = new Map<number, Listener>();
let worker: Worker | null = null;
let nextId = 1;

function post(request: HighlightRequest): void {
  if (typeof Worker === "undefined") return;
  if (worker === null) {
    worker = new Worker(new URL("./highlight.worker.ts", import.meta.url), { type: "module" });
    worker.addEventListener("message", ({ data }: MessageEvent<HighlightAnswer>) => listeners.get(data.id)?.(data.lines));
  }
  worker.postMessage(request);
}

function remember(key: string, lines: readonly TokenLine[]): void {
  if (finished.size >= MAX_CACHED) {
    const oldest = finished.keys().next().value;
    if (oldest !== undefined) finished.delete(oldest);
  }
  finished.set(key, lines);
}

/** One code block's conversation with the worker. */
class Highlighting {
  readonly id = nextId++;
  sent: string[] = [];
  lines: readonly TokenLine[] = [];

  constructor(
    readonly language: string,
    private readonly changed: () => void,
  ) {
    listeners.set(this.id, (more) => {
      this.lines = [...this.lines, ...more];
      this.changed();
    });
  }

  /** Whether `whole` continues what was sent; another text (or a language typed in full) needs another conversation. */
  continuedBy(language: string, whole: readonly string[]): boolean {
    if (language !== this.language) return false;
    const last = this.sent.length - 1;
    return whole.length >= this.sent.length && (last < 0 || (whole[last] === this.sent[last] && whole[0] === this.sent[0]));
  }

  send(whole: readonly string[]): void {
    const more = whole.slice(this.sent.length);
    if (more.length === 0) return;
    this.sent = [...whole];
    post({ type: "lines", id: this.id, language: this.language, lines: more });
  }

  end(): void {
    listeners.delete(this.id);
    post({ type: "drop", id: this.id });
  }
}

const NONE: readonly TokenLine[] = [];

/** The coloured lines so far, from the first on; fewer than `lines` while the worker is at it. */
export function useHighlight(language: string, lines: readonly string[], closed: boolean): readonly TokenLine[] {
  const key = closed ? `${language}\n${lines.join("\n")}` : null;
  const known = key === null ? undefined : finished.get(key);
  const [coloured, setColoured] = useState<readonly TokenLine[]>(NONE);
  const current = useRef<Highlighting | null>(null);

  useEffect(() => {
    if (language === "" || known !== undefined) return;
    const whole = closed ? lines : lines.slice(0, -1);
    if (current.current !== null && !current.current.continuedBy(language, whole)) {
      current.current.end();
      current.current = null;
      setColoured(NONE);
    }
    if (current.current === null) {
      const highlighting: Highlighting = new Highlighting(language, () => setColoured(highlighting.lines));
      current.current = highlighting;
    }
    current.current.send(whole);
    if (key !== null && current.current.lines.length >= lines.length) remember(key, current.current.lines);
  }, [language, lines, closed, key, known, coloured]);

  useEffect(
    () => () => {
      current.current?.end();
      current.current = null;
    },
    [],
  );
  return known ?? coloured;
}
