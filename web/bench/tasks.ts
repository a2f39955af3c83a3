/** CPU time of the page's main thread, from Chromium's own trace. */
import type { CDPSession, Page } from "playwright-core";

interface TraceEvent {
  name: string;
  ph: string;
  pid: number;
  tid: number;
  ts: number;
  /** CPU time of the thread, microseconds. */
  tdur?: number;
  dur?: number;
  args: { name?: string; data?: { frame?: string } };
}

export interface MainThread {
  /** CPU milliseconds of all tasks together. */
  cpuMs: number;
  /** CPU milliseconds of the longest task. */
  worstMs: number;
  /** Tasks of more than 50 ms CPU. */
  long: number;
  tasks: number;
}

const CATEGORIES = ["__metadata", "disabled-by-default-devtools.timeline"];

/** The renderer's main thread: of several, the one that worked most is the page under test. */
function summarise(events: readonly TraceEvent[]): MainThread {
  const mains = events.filter((event) => event.name === "thread_name" && event.args.name === "CrRendererMain");
  const sums = mains.map(({ pid, tid }) => {
    const tasks = events.filter((event) => event.pid === pid && event.tid === tid && event.ph === "X" && event.name === "RunTask");
    const cpu = tasks.map((task) => (task.tdur ?? task.dur ?? 0) / 1_000);
    return {
      cpuMs: cpu.reduce((sum, each) => sum + each, 0),
      worstMs: Math.max(0, ...cpu),
      long: cpu.filter((each) => each > 50).length,
      tasks: cpu.length,
    };
  });
  const [busiest] = sums.toSorted((one, other) => other.cpuMs - one.cpuMs);
  if (busiest === undefined) throw new Error("the trace names no main thread");
  return busiest;
}

/** What the main thread did while `work` ran. */
export async function traced<T>(page: Page, work: () => Promise<T>): Promise<{ result: T; main: MainThread }> {
  const browser = page.context().browser();
  if (browser === null) throw new Error("the page has no browser");
  const session: CDPSession = await browser.newBrowserCDPSession();
  const events: TraceEvent[] = [];
  session.on("Tracing.dataCollected", ({ value }) => events.push(...(value as unknown as TraceEvent[])));
  const complete = new Promise<void>((done) => session.once("Tracing.tracingComplete", () => done()));
  await session.send("Tracing.start", { categories: CATEGORIES.join(","), transferMode: "ReportEvents" });
  const result = await work();
  await session.send("Tracing.end");
  await complete;
  await session.detach();
  return { result, main: summarise(events) };
}
