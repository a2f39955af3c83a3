/** What the page and its highlighting worker say to each other. */

/** A piece of a line and its colour: an index into `KINDS`. */
export type Token = readonly [text: string, kind: number];
export type TokenLine = readonly Token[];

/** Style classes are `tk-<kind>`; their colours are in styles/code.css, for both themes. */
export const KINDS = [
  "plain",
  "constant",
  "string",
  "comment",
  "keyword",
  "parameter",
  "function",
  "string-expression",
  "punctuation",
  "link",
  "inserted",
  "deleted",
  "changed",
] as const;

export type HighlightRequest =
  /** More whole lines of a code block, in order; the worker keeps the grammar's state between requests. */
  | { type: "lines"; id: number; language: string; lines: string[] }
  | { type: "drop"; id: number };

export interface HighlightAnswer {
  id: number;
  lines: TokenLine[];
}
