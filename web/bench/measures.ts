/** What is measured, one function a row (or a few) of the table. */
import type { BrowserContext, Page } from "playwright-core";
import { composer, ends, lastReply, send } from "../e2e/journey";
import type { Api } from "./api";
import { sample } from "./sample";
import { traced, type MainThread } from "./tasks";

export interface Row {
  what: string;
  value: string;
  /** As the target is written; null where there is none. */
  limit: string | null;
  ok: boolean;
}

export const LENGTH = 20_000;
const CHUNKS_PER_SECOND = 100;

export function row(what: string, value: number, unit: string, limit: number | null, digits = 1): Row {
  const text = `${value.toFixed(digits)} ${unit}`.trimEnd();
  return { what, value: text, limit: limit === null ? null : `≤ ${limit} ${unit}`.trimEnd(), ok: limit === null || value <= limit };
}

async function throttle(page: Page, rate: number): Promise<void> {
  const session = await page.context().newCDPSession(page);
  await session.send("Emulation.setCPUThrottlingRate", { rate });
}

/** Counts the frames in which the shown text changed: one for each update of the live row. */
async function countUpdates(page: Page): Promise<void> {
  await page.evaluate(() => {
    const box = document.querySelector(".thread");
    const counted = globalThis as unknown as { updates: number };
    counted.updates = 0;
    if (box === null) return;
    new MutationObserver(() => {
      counted.updates += 1;
    }).observe(box, { childList: true, characterData: true, subtree: true });
  });
}

/** Cumulative layout shift as browsers report it: the worst window of at most five seconds. */
async function watchShifts(page: Page): Promise<void> {
  await page.evaluate(() => {
    const kept = globalThis as unknown as { shift: number };
    kept.shift = 0;
    let [first, last, sum] = [0, 0, 0];
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries() as (PerformanceEntry & { value: number; hadRecentInput: boolean })[]) {
        if (entry.hadRecentInput) continue;
        const goesOn = entry.startTime - last < 1_000 && entry.startTime - first < 5_000;
        [first, sum] = goesOn ? [first, sum + entry.value] : [entry.startTime, entry.value];
        last = entry.startTime;
        kept.shift = Math.max(kept.shift, sum);
      }
    }).observe({ type: "layout-shift" });
  });
}

const read = (page: Page, name: "updates" | "shift"): Promise<number> =>
  page.evaluate((key) => (globalThis as unknown as Record<string, number>)[key] ?? 0, name);

interface Streamed {
  main: MainThread;
  updates: number;
  shift: number;
}

async function stream(page: Page, api: Api, sessionId: string, rate: number): Promise<Streamed> {
  await throttle(page, rate);
  const { result, main } = await traced(page, async () => {
    await countUpdates(page);
    await watchShifts(page);
    await api.say(sessionId, `[[delay ${1_000 / CHUNKS_PER_SECOND}]] [[say ${sample(LENGTH)}]]`);
    await ends(page, "complete", 60_000);
    return { updates: await read(page, "updates"), shift: await read(page, "shift") };
  });
  await throttle(page, 1);
  return { main, ...result };
}

export async function streaming(context: BrowserContext, base: string, api: Api): Promise<Row[]> {
  const sessionId = await api.session("A stream");
  // One short exchange first: chunks, fonts and the worker are then here, as in any second message.
  await api.say(sessionId, "[[say # Warm\n\n`a` $x$\n\n```rust\nfn a() {}\n```\n]]");
  const page = await context.newPage();
  await page.goto(`${base}/c/${sessionId}`);
  await lastReply(page).locator(".tk-keyword").first().waitFor();
  const free = await stream(page, api, sessionId, 1);
  const slowed = await stream(page, api, sessionId, 4);
  await page.close();
  return [
    row(`CPU per update, ${free.updates} updates`, free.main.cpuMs / free.updates, "ms", 5),
    row("worst task while streaming, CPU", free.main.worstMs, "ms", 50),
    row("tasks over 50 ms CPU at 4× throttle", slowed.main.long, "", 5, 0),
    row("worst task at 4× throttle, CPU", slowed.main.worstMs, "ms", null),
    row("layout shift while streaming", free.shift, "", 0.05, 3),
  ];
}

export async function opening(context: BrowserContext, base: string, api: Api): Promise<Row[]> {
  const title = "A long answer";
  const sessionId = await api.session(title);
  await api.say(sessionId, `[[say ${sample(LENGTH)}]]`);
  const page = await context.newPage();
  await page.goto(base);
  await page.getByRole("link", { name: title }).waitFor();
  await page.waitForTimeout(1_000);
  const began = performance.now();
  const { main } = await traced(page, async () => {
    await page.getByRole("link", { name: title }).click();
    await lastReply(page).locator(".tk-keyword").last().waitFor();
    await page.waitForTimeout(500);
  });
  const wall = performance.now() - began - 500;
  await page.close();
  return [row("opening a 20,000-character message: worst task, CPU", main.worstMs, "ms", 50), row("the same, until coloured, wall", wall, "ms", null, 0)];
}

export async function nodes(context: BrowserContext, base: string, api: Api): Promise<Row[]> {
  const title = "A long thread";
  const sessionId = await api.session(title);
  for (let turn = 1; turn <= 60; turn += 1) await api.say(sessionId, `[[say Answer ${turn}: **yes**, and \`no\`.\n\n- one\n- two]]`);
  const page = await context.newPage();
  await page.goto(`${base}/c/${sessionId}`);
  await lastReply(page).locator(".prose").waitFor();
  const count = (): Promise<number> => page.evaluate(() => document.querySelectorAll("*").length);
  let most = await count();
  // Up to the first message, through all pages.
  for (let steps = 0; steps < 40; steps += 1) {
    await page.locator(".thread").evaluate((box) => box.scrollBy(0, -box.clientHeight));
    await page.waitForTimeout(60);
    most = Math.max(most, await count());
  }
  const typing = await keyToPaint(page);
  await page.close();
  return [row("DOM nodes of a thread of 120 messages, at most", most, "nodes", 1_500, 0), typing];
}

/** From a key to the next paint, as the browser times it (in steps of 8 ms), while a reply streams. */
async function keyToPaint(page: Page): Promise<Row> {
  await send(page, "[[chunks 600]] [[delay 10]]");
  await page.evaluate(() => {
    const kept = globalThis as unknown as { keys: number[] };
    kept.keys = [];
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) if (entry.name === "keydown") kept.keys.push(entry.duration);
    }).observe({ type: "event", durationThreshold: 16 } as PerformanceObserverInit);
  });
  const text = "the quick brown fox jumps over the lazy dog again";
  await composer(page).pressSequentially(text, { delay: 40 });
  await page.waitForTimeout(300);
  const slow = await page.evaluate(() => (globalThis as unknown as { keys: number[] }).keys);
  // What is faster than the browser reports counts as its threshold.
  const all = [...slow, ...Array.from({ length: Math.max(0, text.length - slow.length) }, () => 16)].toSorted((a, b) => a - b);
  await composer(page).fill("");
  return row("key to paint while streaming, p95", all[Math.floor(all.length * 0.95)] ?? 0, "ms", 50, 0);
}
