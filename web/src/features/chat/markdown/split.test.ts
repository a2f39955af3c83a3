import fc from "fast-check";
import { expect, test } from "vitest";
import { Splitter, type Block } from "./split";

function split(text: string): readonly Block[] {
  return new Splitter().update(text);
}

function texts(text: string): string[] {
  return split(text).map((block) => block.text);
}

test("paragraphs, headings and rules are blocks of their own", () => {
  expect(texts("# A\ntext\n\nmore\n\n---\nend")).toEqual(["# A\n", "text\n", "more\n", "---\n", "end\n"]);
});

test("an underlined heading stays with its line", () => {
  expect(texts("Title\n---\ntext")).toEqual(["Title\n---\n", "text\n"]);
});

test("a list keeps its nested parts, its blank lines and its code", () => {
  const list = "1. a\n\n   more\n   ```\n   # not a heading\n\n   x\n   ```\n2. b\n";
  expect(texts(`${list}\nafter`)).toEqual([`${list}\n`, "after\n"]);
});

test("a code block takes everything up to a fence that is long enough", () => {
  const blocks = split("````MD title\n```\n# x\n```\n````\nafter");
  expect(blocks[0]).toEqual({ kind: "code", language: "md", text: "```\n# x\n```\n", closed: true });
  expect(blocks[1]).toMatchObject({ kind: "markdown", text: "after\n" });
});

test("an open code block says so", () => {
  expect(split("```js\nlet a")).toEqual([{ kind: "code", language: "js", text: "let a\n", closed: false }]);
});

test("display math is a block, in both notations", () => {
  expect(split("$$\nx\n$$\n\\[ y \\]\nt $$z$$ t")).toEqual([
    { kind: "math", text: "x\n", closed: true },
    { kind: "math", text: " y ", closed: true },
    { kind: "markdown", text: "t $$z$$ t\n", definitions: "" },
  ]);
});

test("a definition reaches the blocks that mention it, before and after", () => {
  const blocks = split("see [ref][a]\n\n[a]: https://example.org\n\nand [a]\n\nother");
  expect(blocks.map((block) => (block.kind === "markdown" ? block.definitions : ""))).toEqual([
    "[a]: https://example.org",
    "",
    "[a]: https://example.org",
    "",
  ]);
});

test("finished blocks keep their identity while the text grows", () => {
  const splitter = new Splitter();
  const before = splitter.update("one\n\n```\na\n```\ntwo\n\nthr");
  const after = splitter.update("one\n\n```\na\n```\ntwo\n\nthree and more");
  expect(after.slice(0, 3).every((block, index) => block === before[index])).toBe(true);
  expect(after.at(-1)?.text).toBe("three and more\n");
});

test("a text that does not continue the last one starts again", () => {
  const splitter = new Splitter();
  splitter.update("# one\n\ntwo\n\n");
  expect(splitter.update("three")).toEqual(split("three"));
});

const LINES = [
  "text",
  "more **bold",
  "",
  "  indented",
  "    code",
  "# heading",
  "---",
  "===",
  "- item",
  "  - nested",
  "1. one",
  "2. two",
  "> quote",
  "```rust",
  "   ```",
  "~~~",
  "$$",
  "\\[",
  "\\]",
  "| a | b |",
  "|---|---|",
  "[a]: https://example.org",
  "see [a] and [^n]",
  "[^n]: note",
  "潮汐🌊**“重点”**",
  "\r",
];

test("however the text is cut into chunks, the blocks are those of one pass", () => {
  const line = fc.oneof(fc.constantFrom(...LINES), fc.string({ maxLength: 12 }));
  fc.assert(
    fc.property(fc.array(line, { maxLength: 40 }), fc.array(fc.integer({ min: 1, max: 17 })), (lines, cuts) => {
      const text = lines.join("\n");
      const splitter = new Splitter();
      let at = 0;
      for (const cut of cuts) {
        at = Math.min(text.length, at + cut);
        splitter.update(text.slice(0, at));
      }
      expect(splitter.update(text)).toEqual(split(text));
    }),
    { numRuns: 2_000 },
  );
});

test("nothing is lost: every line of the text is in a block, or is blank or a fence", () => {
  const line = fc.constantFrom("text", "- item", "# heading", "> quote", "", "| a |");
  fc.assert(
    fc.property(fc.array(line, { maxLength: 40 }), (lines) => {
      const kept = split(lines.join("\n")).flatMap((block) => block.text.split("\n"));
      expect(kept.filter((each) => each !== "")).toEqual(lines.filter((each) => each !== ""));
    }),
  );
});
