import { beforeAll, expect, test } from "vitest";
import { render, screen, waitFor } from "@testing-library/react";
import { startI18n } from "@/i18n";
import Markdown from "./Markdown";
import { safeHref } from "./links";
import { dollarMath } from "./parse";

beforeAll(() => startI18n("en"));

function html(text: string, growing = false): HTMLElement {
  return render(<Markdown text={text} growing={growing} />).container;
}

test("raw HTML is text", () => {
  const container = html("a <img src=x onerror=alert(1)> <b>b</b>\n\n<script>alert(1)</script>");
  expect(container.querySelector("img, b, script")).toBeNull();
  expect(container.textContent).toContain("<script>alert(1)</script>");
});

test("links lead to http, https and mailto only, and tell nothing about where they come from", () => {
  const container = html("[a](https://example.org) [b](javascript:alert(1)) [c](data:text/html,x) [d](/local) <mailto:a@b.c>");
  const links = [...container.querySelectorAll("a")];
  expect(links.map((link) => link.getAttribute("href"))).toEqual(["https://example.org/", "mailto:a@b.c"]);
  expect(links[0]?.getAttribute("rel")).toBe("noopener noreferrer nofollow");
  expect(safeHref("JAVASCRIPT:alert(1)")).toBeNull();
});

test("images are links: nothing is loaded from where a model says", () => {
  const container = html("![chart](https://example.org/a.png)");
  expect(container.querySelector("img")).toBeNull();
  expect(screen.getByRole("link", { name: "chart" }).getAttribute("href")).toBe("https://example.org/a.png");
});

test("a reference finds its definition in another block", () => {
  html("See [this][1].\n\nText.\n\n[1]: https://example.org");
  expect(screen.getByRole("link", { name: "this" }).getAttribute("href")).toBe("https://example.org/");
});

test("bold works before full-width punctuation", () => {
  expect(html("这是**“重点”**的说明。").querySelector("strong")?.textContent).toBe("“重点”");
});

test("money is not a formula", () => {
  expect(html("between $5 and $10, or $ 3 $").textContent).toBe("between $5 and $10, or $ 3 $");
});

test("formulas are set once their typesetter is here, broken ones stay as written", async () => {
  const container = html("$x^2$\n\n$$\n\\frac{1\n$$");
  await waitFor(() => expect(container.querySelector(".katex")).not.toBeNull());
  expect(container.querySelector(".formula-source")?.textContent).toContain("\\frac{1");
});

test("formulas in brackets are formulas, code with brackets is not", () => {
  expect(dollarMath("a \\(x\\) `\\(y\\)` \\[z\\]")).toBe("a $x$ `\\(y\\)` $$z$$");
});

test("half an emphasis is closed while the text grows", () => {
  expect(html("this is **bol", true).querySelector("strong")?.textContent).toBe("bol");
  expect(html("this is **bol", false).querySelector("strong")).toBeNull();
});

test("what streams in ends as what is read from the start", () => {
  const text = "# A\n\n- one\n- two **b**\n\n```js\nlet a = 1;\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nend [x][y]\n\n[y]: https://example.org\n";
  const whole = html(text).innerHTML;
  const view = render(<Markdown text="" growing />);
  for (let at = 1; at <= text.length; at += 3) view.rerender(<Markdown text={text.slice(0, at)} growing />);
  view.rerender(<Markdown text={text} growing={false} />);
  expect(view.container.innerHTML).toBe(whole);
});

test("a code block names its language and offers its text", () => {
  html("```rust\nfn main() {}\n```");
  expect(screen.getByRole("button", { name: "Copy code" })).toBeDefined();
  expect(screen.getByText("rust")).toBeDefined();
});
