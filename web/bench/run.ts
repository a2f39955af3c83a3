/**
 * Measures the page against its targets and writes `bench/RESULTS.md` at the root of the project: `npm run bench`, or
 * `make web-bench`. Fails when a target is missed. What it runs against: e2e/server.ts.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, loadavg, totalmem } from "node:os";
import { resolve } from "node:path";
import { launch } from "../e2e/browser";
import { sweep, signedInContext } from "../e2e/screens";
import { startServer } from "../e2e/server";
import { sizes } from "../scripts/size-gate";
import { account } from "./api";
import { nodes, opening, row, streaming, type Row } from "./measures";

const RESULTS = resolve(import.meta.dirname, "../../bench/RESULTS.md");
const BEGIN = "<!-- web: written by `make web-bench` -->";
const END = "<!-- /web -->";

function bytes(): Row[] {
  return sizes().map(({ name, bytes: measured, limit }) => row(name, measured / 1_000, "kB", limit / 1_000));
}

function table(rows: readonly Row[], browser: string): string {
  const machine = `${cpus().length} × ${cpus()[0]?.model.trim() ?? "unknown"}, ${Math.round(totalmem() / 2 ** 30)} GiB`;
  const lines = rows.map(({ what, value, limit, ok }) => `| ${what} | ${value} | ${limit ?? "–"} | ${ok ? "yes" : "**no**"} |`);
  return [
    BEGIN,
    "## The web page",
    "",
    `Measured ${new Date().toISOString().slice(0, 10)} on ${machine}, Linux, Chromium ${browser} headless without GPU, server and`,
    "browser on the same machine. Streaming: 20,000 characters of headings, lists, tables, code and formulas at 100 chunks a",
    "second from the scriptable provider, through the real server. CPU times are thread times of the page's main thread, from",
    `Chromium's trace; other work on the machine inflates them, its load average was ${loadavg()[1]?.toFixed(1)} over five minutes.`,
    "Again with `make web-bench`.",
    "",
    "| what | measured | target | met |",
    "|---|---|---|---|",
    ...lines,
    END,
  ].join("\n");
}

/** Replaces our section; the rest of the file belongs to other benchmarks. */
function write(section: string): void {
  const before = existsSync(RESULTS) ? readFileSync(RESULTS, "utf8") : "# Measured\n\nEvery figure names its machine, its date and the command that measures it again.\n";
  const begin = before.indexOf(BEGIN);
  const end = before.indexOf(END);
  const after = begin < 0 || end < 0 ? `${before.trimEnd()}\n\n${section}\n` : before.slice(0, begin) + section + before.slice(end + END.length);
  writeFileSync(RESULTS, after);
}

async function main(): Promise<void> {
  const server = await startServer("release");
  const browser = await launch();
  try {
    const api = await account(server.baseUrl);
    const example = await api.session("Of tides and tables");
    await api.say(example, "Show everything.");
    await api.say(example, "And now fail. [[error 400]]");
    const rows = bytes();
    const context = await signedInContext(browser, server.baseUrl, api.email);
    rows.push(...(await streaming(context, server.baseUrl, api)));
    rows.push(...(await opening(context, server.baseUrl, api)));
    rows.push(...(await nodes(context, server.baseUrl, api)));
    const screens = await sweep(browser, server.baseUrl, api.email);
    rows.push(row(`axe violations on ${screens} screens`, 0, "", 0, 0));
    write(table(rows, browser.version()));
    for (const each of rows) console.log(`${each.ok ? "ok  " : "MISS"} ${each.what}: ${each.value} (${each.limit ?? "no target"})`);
    if (rows.some((each) => !each.ok)) process.exitCode = 1;
  } finally {
    await browser.close();
    await server.stop();
  }
}

await main();
