/** KaTeX and its style sheet, fetched on demand by Formula.tsx. */
import katex from "katex";
import "katex/dist/katex.min.css";

/** Formulas on screen are rendered again and again while text grows; each is computed once. */
const MAX_CACHED = 500;
const cache = new Map<string, string | null>();

function compute(tex: string, display: boolean): string | null {
  try {
    // `trust: false`: no links, no images, no HTML from the formula. The bounds stop macro bombs.
    return katex.renderToString(tex, {
      displayMode: display,
      trust: false,
      strict: "ignore",
      maxExpand: 500,
      maxSize: 20,
      throwOnError: true,
    });
  } catch {
    return null;
  }
}

/** The HTML of a formula (made by KaTeX alone, safe to insert), or null when it cannot be read. */
export function formula(tex: string, display: boolean): string | null {
  const key = `${display ? "D" : "I"}${tex}`;
  const known = cache.get(key);
  if (known !== undefined) return known;
  const html = compute(tex, display);
  if (cache.size >= MAX_CACHED) cache.clear();
  cache.set(key, html);
  return html;
}
