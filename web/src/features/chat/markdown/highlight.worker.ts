/** Colours code away from the page's thread, with the engine in plain JavaScript (no WebAssembly to fetch). */
import { createCssVariablesTheme, createHighlighterCore, type GrammarState, type HighlighterCore, type ThemedToken } from "shiki/core";
import { createJavaScriptRegexEngine } from "shiki/engine/javascript";
import { grammarOf } from "./grammars";
import { KINDS, type HighlightAnswer, type HighlightRequest, type Token, type TokenLine } from "./highlight.protocol";

/** Longer lines (minified code) stay plain. */
const MAX_LINE_LENGTH = 2_000;
const THEME = "css-variables";
const PREFIX = "--shiki-";

let highlighter: Promise<HighlighterCore> | null = null;
const states = new Map<number, GrammarState>();
let queue: Promise<void> = Promise.resolve();

function core(): Promise<HighlighterCore> {
  highlighter ??= createHighlighterCore({
    themes: [createCssVariablesTheme({ name: THEME, variablePrefix: PREFIX })],
    langs: [],
    engine: createJavaScriptRegexEngine({ forgiving: true }),
  });
  return highlighter;
}

function kindOf(token: ThemedToken): number {
  const name = /--shiki-token-([a-z-]+)/.exec(token.color ?? "")?.[1];
  const index = KINDS.findIndex((kind) => kind === name);
  return Math.max(0, index);
}

/** Neighbours of one colour become one token, and blanks join what is before them: fewer nodes on the page. */
function compact(line: ThemedToken[]): TokenLine {
  const tokens: Token[] = [];
  for (const token of line) {
    const last = tokens.at(-1);
    const blank = token.content.trim() === "";
    const kind = blank && last !== undefined ? last[1] : kindOf(token);
    if (last !== undefined && last[1] === kind) tokens[tokens.length - 1] = [last[0] + token.content, kind];
    else tokens.push([token.content, kind]);
  }
  return tokens;
}

async function highlight(request: Extract<HighlightRequest, { type: "lines" }>): Promise<void> {
  const grammar = grammarOf(request.language);
  if (grammar === null) return;
  const shiki = await core();
  if (!shiki.getLoadedLanguages().includes(grammar.name)) await shiki.loadLanguage(grammar.load());
  const state = states.get(request.id);
  const result = shiki.codeToTokens(request.lines.join("\n"), {
    lang: grammar.name,
    theme: THEME,
    tokenizeMaxLineLength: MAX_LINE_LENGTH,
    ...(state === undefined ? {} : { grammarState: state }),
  });
  if (result.grammarState !== undefined) states.set(request.id, result.grammarState);
  postMessage({ id: request.id, lines: result.tokens.map(compact) } satisfies HighlightAnswer);
}

addEventListener("message", ({ data }: MessageEvent<HighlightRequest>) => {
  // One after the other: the state of line n is needed for line n + 1.
  queue = queue.then(async () => {
    if (data.type === "drop") states.delete(data.id);
    // A grammar that fails leaves the code plain; the page already shows it.
    else await highlight(data).catch(() => undefined);
  });
});
