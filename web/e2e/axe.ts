/** Accessibility by axe-core, on whatever the page shows now. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type axe from "axe-core";
import type { Page } from "playwright-core";

const SOURCE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export interface Violation {
  rule: string;
  help: string;
  nodes: string[];
}

/** Every violation of every rule of axe, best practices included. Transitions are let finish first. */
export async function violations(page: Page): Promise<Violation[]> {
  await page.evaluate(() => Promise.all(document.getAnimations().map((each) => each.finished.catch(() => undefined))).then(() => undefined), undefined).catch(() => undefined);
  // By evaluation, not as a script element: the page's content policy forbids foreign scripts.
  await page.evaluate(SOURCE);
  const found = await page.evaluate(async () => {
    const run = (globalThis as unknown as { axe: typeof axe }).axe;
    return (await run.run(document, { resultTypes: ["violations"] })).violations;
  });
  return found.map(({ id, help, nodes }) => ({
    rule: id,
    help,
    nodes: nodes.slice(0, 5).map((node) => `${node.target.join(" ")} ${node.failureSummary ?? ""}`),
  }));
}
