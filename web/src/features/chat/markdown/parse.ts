/** One block of markdown as a syntax tree: GitHub's flavour, formulas, emphasis that knows Chinese punctuation. */
import type { Root } from "mdast";
import { fromMarkdown } from "mdast-util-from-markdown";
import { gfmFromMarkdown } from "mdast-util-gfm";
import { mathFromMarkdown } from "mdast-util-math";
import { cjkFriendlyExtension } from "micromark-extension-cjk-friendly";
import { gfm } from "micromark-extension-gfm";
import { math } from "micromark-extension-math";

const extensions = [
  gfm({ singleTilde: false }),
  math(),
  cjkFriendlyExtension(),
  // Raw HTML is text: its constructs are never recognised.
  { disable: { null: ["htmlFlow", "htmlText"] } },
];
const mdastExtensions = [gfmFromMarkdown(), mathFromMarkdown()];

/** `\(…\)` and `\[…\]`, which many models write, as `$…$` and `$$…$$`; code spans stay as they are. */
export function dollarMath(text: string): string {
  if (!text.includes("\\(") && !text.includes("\\[")) return text;
  return text.replace(/(`+)(?:[^`]|(?!\1)`)*\1|\\\((.+?)\\\)|\\\[([\s\S]+?)\\\]/g, (whole, _ticks, inline, display) => {
    if (typeof inline === "string") return `$${inline.trim()}$`;
    return typeof display === "string" ? `$$${display.trim()}$$` : String(whole);
  });
}

export interface Parsed {
  readonly root: Root;
  /** The source that positions in `root` refer to. */
  readonly source: string;
}

export function parse(text: string, definitions = ""): Parsed {
  const own = dollarMath(text);
  const source = definitions === "" ? own : `${own}\n\n${definitions}\n`;
  const root = fromMarkdown(source, { extensions, mdastExtensions });
  // Definitions of other blocks are known here, but shown there.
  root.children = root.children.filter((node) => (node.position?.start.offset ?? 0) < own.length);
  return { root, source };
}
