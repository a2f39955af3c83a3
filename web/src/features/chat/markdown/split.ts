/**
 * Cuts a growing markdown text into top-level blocks. Text is only ever appended: a finished block keeps its object,
 * so that only the last one is parsed and rendered again. However the text is cut into chunks, the blocks are those
 * of one pass (fuzzed in split.test.ts). Works on whole lines; a started line is judged as if it ended here.
 */

export interface MarkdownBlock {
  readonly kind: "markdown";
  readonly text: string;
  /** Definitions of the link labels and footnotes that `text` mentions; they may stand in other blocks. */
  readonly definitions: string;
}

export interface CodeBlock {
  readonly kind: "code";
  /** The first word after the fence, lower case; empty when there is none. */
  readonly language: string;
  readonly text: string;
  /** Whether the closing fence has been seen. */
  readonly closed: boolean;
}

export interface MathBlock {
  readonly kind: "math";
  readonly text: string;
  readonly closed: boolean;
}

export type Block = MarkdownBlock | CodeBlock | MathBlock;

type Shape = "paragraph" | "list" | "quote" | "indented" | "note";

/** The block that later lines may still belong to. Replaced, never changed, so that a look ahead costs nothing. */
type Open =
  | { readonly kind: "code"; readonly fence: string; readonly indent: number; readonly language: string; readonly text: string }
  | { readonly kind: "math"; readonly close: string; readonly text: string }
  | {
      readonly kind: "markdown";
      readonly shape: Shape;
      readonly text: string;
      readonly afterBlank: boolean;
      /** The fence of a code block inside a list item, whose lines are not judged. */
      readonly fence: string | null;
    };

interface State {
  readonly open: Open | null;
  /** What this line finished. */
  readonly done: readonly Block[];
}

const FENCE = /^( {0,3})(`{3,}(?=[^`]*$)|~{3,})\s*([^\s`]*)/;
const INNER_FENCE = /^\s*(?:[-*+]\s+|\d{1,9}[.)]\s+)?(`{3,}(?=[^`]*$)|~{3,})/;
const HEADING = /^ {0,3}#{1,6}(?:\s|$)/;
const RULE = /^ {0,3}(?:(?:\*\s*){3,}|(?:_\s*){3,}|(?:-\s*){3,})$/;
const SETEXT = /^ {0,3}(?:=+|-+)\s*$/;
const LIST = /^ {0,3}(?:[-*+]|\d{1,9}[.)])(?:\s|$)/;
/** A list that may follow a paragraph without a blank line (CommonMark: not empty, ordered ones from 1). */
const LIST_IN_TEXT = /^ {0,3}(?:[-*+]|1[.)])\s+\S/;
const QUOTE = /^ {0,3}>/;
const NOTE = /^ {0,3}\[\^[^\]\s]+\]:/;
const INDENTED = /^(?: {4}|\t)/;
const DEFINITION = /^ {0,3}\[(\^?[^\]\n]+)\]:[ \t]*(\S.*)$/;

export class Splitter {
  #consumed = "";
  #line = "";
  #open: Open | null = null;
  #finished: Block[] = [];
  readonly #definitions = new Map<string, string>();

  /** The blocks of `text`. Cheap when `text` continues the one of the last call; else starts again. */
  update(text: string): readonly Block[] {
    if (!text.startsWith(this.#consumed)) this.#restart();
    this.#push(text.slice(this.#consumed.length));
    this.#consumed = text;
    const { open, done } = this.#line === "" ? { open: this.#open, done: [] } : step(this.#open, this.#line);
    const tail = [...done, ...(open === null ? [] : [finish(open, false)])];
    const definition = this.#definitionIn(this.#line);
    if (definition === null) return [...this.#finished, ...tail.map((block) => withDefinitions(block, this.#definitions))];
    // A definition that is still being written counts already, but is not kept.
    const definitions = new Map([...this.#definitions, definition]);
    return [...this.#finished, ...tail].map((block) => withDefinitions(block, definitions));
  }

  #restart(): void {
    this.#consumed = "";
    this.#line = "";
    this.#open = null;
    this.#finished = [];
    this.#definitions.clear();
  }

  #push(chunk: string): void {
    let from = 0;
    for (let end = chunk.indexOf("\n"); end >= 0; end = chunk.indexOf("\n", from)) {
      const line = this.#line + chunk.slice(from, end);
      this.#line = "";
      from = end + 1;
      this.#take(line.endsWith("\r") ? line.slice(0, -1) : line);
    }
    this.#line += chunk.slice(from);
  }

  #take(line: string): void {
    const definition = this.#definitionIn(line);
    const { open, done } = step(this.#open, line);
    this.#open = open;
    for (const block of done) this.#finished.push(withDefinitions(block, this.#definitions));
    if (definition === null) return;
    this.#definitions.set(...definition);
    this.#finished = this.#finished.map((block) => withDefinitions(block, this.#definitions));
  }

  /** The label and the source of the definition that this line is; null for others and for labels known already. */
  #definitionIn(line: string): [label: string, source: string] | null {
    const inCode = this.#open !== null && (this.#open.kind !== "markdown" || this.#open.fence !== null);
    const [, label, target] = (inCode ? null : DEFINITION.exec(line)) ?? [];
    if (label === undefined || target === undefined || this.#definitions.has(label.toLowerCase())) return null;
    const key = label.toLowerCase();
    // A footnote's text is shown where it stands; others only need to know that it exists.
    return [key, key.startsWith("^") ? `[${label}]: *` : `[${label}]: ${target}`];
  }
}

/** The same object when the definitions that it mentions have not changed. */
function withDefinitions(block: Block, definitions: ReadonlyMap<string, string>): Block {
  if (block.kind !== "markdown" || definitions.size === 0 || !block.text.includes("[")) return block;
  const text = block.text.toLowerCase();
  const mentioned = [...definitions].filter(([label]) => text.includes(`[${label}]`) && !text.includes(`[${label}]:`));
  const sources = mentioned.map(([, source]) => source).join("\n");
  return sources === block.definitions ? block : { ...block, definitions: sources };
}

/** What one more whole line does. */
function step(open: Open | null, line: string): State {
  if (open === null) return begin(line, []);
  if (open.kind === "code") return stepCode(open, line);
  if (open.kind === "math") return stepMath(open, line);
  return stepMarkdown(open, line);
}

function stepCode(open: Extract<Open, { kind: "code" }>, line: string): State {
  if (isClosing(line, open.fence)) return { open: null, done: [finish(open, true)] };
  const indent = Math.min(open.indent, line.length - line.trimStart().length);
  return { open: { ...open, text: `${open.text}${line.slice(indent)}\n` }, done: [] };
}

function stepMath(open: Extract<Open, { kind: "math" }>, line: string): State {
  const end = line.trimEnd();
  if (!end.endsWith(open.close)) return { open: { ...open, text: `${open.text}${line}\n` }, done: [] };
  const last = end.slice(0, -open.close.length);
  return { open: null, done: [{ kind: "math", text: open.text + last, closed: true }] };
}

function stepMarkdown(open: Extract<Open, { kind: "markdown" }>, line: string): State {
  const appended = { ...open, text: `${open.text}${line}\n`, afterBlank: false };
  if (open.fence !== null) {
    const left = line.trim() !== "" && !line.startsWith(" ") && !line.startsWith("\t");
    if (isClosing(line.trimStart(), open.fence)) return { open: { ...appended, fence: null }, done: [] };
    return left ? begin(line, [finish(open, true)]) : { open: appended, done: [] };
  }
  if (line.trim() === "") {
    if (open.shape === "paragraph" || open.shape === "quote") return { open: null, done: [finish(open, true)] };
    return { open: { ...appended, afterBlank: true }, done: [] };
  }
  if (open.shape === "paragraph" && SETEXT.test(line)) return { open: null, done: [finish(appended, true)] };
  if (!continues(open, line)) return begin(line, [finish(open, true)]);
  const inner = open.shape === "list" || open.shape === "note" ? INNER_FENCE.exec(line) : null;
  return { open: { ...appended, fence: inner?.[1] ?? null }, done: [] };
}

/** Whether a line that is not blank belongs to the open block. */
function continues(open: Extract<Open, { kind: "markdown" }>, line: string): boolean {
  const indented = /^(?: {2}|\t)/.test(line);
  switch (open.shape) {
    case "indented":
      return INDENTED.test(line);
    case "list":
      if (indented) return true;
      if (LIST.test(line) && !RULE.test(line)) return true;
      return !open.afterBlank && !interrupts(line);
    case "note":
      return indented || (!open.afterBlank && !interrupts(line) && !NOTE.test(line));
    case "quote":
      return QUOTE.test(line) || !interrupts(line);
    case "paragraph":
      return !interrupts(line);
  }
}

/** Whether the line starts a block of its own even right after text. */
function interrupts(line: string): boolean {
  return (
    FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line) || LIST_IN_TEXT.test(line) || mathOpening(line) !== null
  );
}

function begin(line: string, done: readonly Block[]): State {
  if (line.trim() === "") return { open: null, done };
  const fence = FENCE.exec(line);
  if (fence?.[2] !== undefined) {
    const language = (fence[3] ?? "").toLowerCase();
    return { open: { kind: "code", fence: fence[2], indent: fence[1]?.length ?? 0, language, text: "" }, done };
  }
  const math = mathOpening(line);
  if (math !== null) return beginMath(math, done);
  const open: Open = { kind: "markdown", shape: shapeOf(line), text: `${line}\n`, afterBlank: false, fence: null };
  if (HEADING.test(line) || RULE.test(line)) return { open: null, done: [...done, finish(open, true)] };
  const inner = open.shape === "list" ? INNER_FENCE.exec(line) : null;
  return { open: { ...open, fence: inner?.[1] ?? null }, done };
}

function shapeOf(line: string): Shape {
  if (INDENTED.test(line)) return "indented";
  if (LIST.test(line)) return "list";
  if (QUOTE.test(line)) return "quote";
  return NOTE.test(line) ? "note" : "paragraph";
}

/** A line that opens display math: `$$` or `\[`, alone or with the formula (and perhaps its end) behind it. */
function mathOpening(line: string): { close: string; rest: string } | null {
  const trimmed = line.trim();
  if (trimmed.startsWith("\\[")) return { close: "\\]", rest: trimmed.slice(2) };
  if (!trimmed.startsWith("$$")) return null;
  const rest = trimmed.slice(2);
  const end = rest.indexOf("$$");
  // `$$a$$ and more` is a paragraph with a formula in it.
  return end >= 0 && end !== rest.length - 2 ? null : { close: "$$", rest };
}

function beginMath(math: { close: string; rest: string }, done: readonly Block[]): State {
  const { close, rest } = math;
  if (rest.endsWith(close)) return { open: null, done: [...done, { kind: "math", text: rest.slice(0, -2), closed: true }] };
  return { open: { kind: "math", close, text: rest === "" ? "" : `${rest}\n` }, done };
}

function isClosing(line: string, fence: string): boolean {
  const trimmed = line.trimEnd();
  const mark = trimmed.trimStart();
  if (trimmed.length - mark.length > 3 || mark.length < fence.length) return false;
  return mark === (fence[0] ?? "").repeat(mark.length);
}

function finish(open: Open, closed: boolean): Block {
  if (open.kind === "code") return { kind: "code", language: open.language, text: open.text, closed };
  if (open.kind === "math") return { kind: "math", text: open.text, closed };
  return { kind: "markdown", text: open.text, definitions: "" };
}
