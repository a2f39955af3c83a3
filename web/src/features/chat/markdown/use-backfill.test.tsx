import { beforeAll, expect, test } from "vitest";
import { render, waitFor } from "@testing-library/react";
import { startI18n } from "@/i18n";
import Markdown from "./Markdown";

beforeAll(() => startI18n("en"));

const long = Array.from({ length: 300 }, (_, index) => `Paragraph ${index} with a few words to fill its line.`).join("\n\n");

test("a long text is shown from its end and is soon there whole, in order", async () => {
  const { container } = render(<Markdown text={long} growing={false} />);
  const first = container.querySelectorAll("p");
  expect(first.length).toBeLessThan(100);
  expect([...first].at(-1)?.textContent).toMatch(/^Paragraph 299 /);
  await waitFor(() => expect(container.querySelectorAll("p").length).toBe(300));
  expect([...container.querySelectorAll("p")].map((p) => p.textContent).join("\n\n")).toBe(long);
});

test("a text that was here before comes back whole, and so does one that is growing", async () => {
  const before = render(<Markdown text={`${long}!`} growing={false} />);
  await waitFor(() => expect(before.container.querySelectorAll("p").length).toBe(300));
  before.unmount();
  expect(render(<Markdown text={`${long}!`} growing={false} />).container.querySelectorAll("p").length).toBe(300);
  expect(render(<Markdown text={`${long}?`} growing />).container.querySelectorAll("p").length).toBe(300);
});
