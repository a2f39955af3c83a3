/**
 * One journey through the whole page against the real server, then every screen through axe in both themes, both
 * languages and both widths. `npm run e2e`; see server.ts for what it runs against. Screenshots: `E2E_SHOTS=<folder>`.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { launch, ENGLISH, watchErrors } from "./browser";
import { choose, composer, ends, lastReply, prose, register, replies, sameText, send, showsText, signIn } from "./journey";
import { MONEY_STEPS } from "./money";
import { operate } from "./operator";
import { sweep } from "./screens";
import { startServer, type Server } from "./server";
import { layWire, type Wire } from "./wire";

const EMAIL = `ada.${Date.now()}@example.org`;

interface World {
  server: Server;
  wire: Wire;
  /** The server, through the wire. */
  base: string;
  browser: Browser;
  context: BrowserContext;
  page: Page;
  errors: string[];
}

type Step = readonly [name: string, run: (world: World) => Promise<void>];

const STEPS: readonly Step[] = [
  ["a stranger is sent to the sign-in page and finds the way to a new account", async ({ page, base }) => {
    await page.goto(`${base}/?from=mail`);
    await page.waitForURL(/\/login/);
    await page.getByRole("link", { name: "Create account" }).click();
    await page.getByLabel("Password", { exact: true }).fill("short");
    await page.getByLabel("Email").fill("not an address");
    await page.getByLabel("Username").fill("Ada");
    await page.getByRole("button", { name: "Create account" }).click();
    await page.getByRole("alert").first().waitFor();
    assert.ok((await page.locator("[aria-invalid=true]").count()) > 0, "the error stands beside its field");
    await register(page, EMAIL, `Ada.${Date.now() % 100_000}`);
    await composer(page).waitFor();
  }],
  ["signing out and in again leads back to where one was", async ({ page, base }) => {
    await page.getByRole("button", { name: "Account and settings" }).click();
    await page.getByRole("menuitem", { name: "Sign out" }).click();
    await page.waitForURL(/\/login/);
    await page.goto(`${base}/?again=1`);
    await page.waitForURL(/\/login/);
    await signIn(page, EMAIL);
    await composer(page).waitFor();
    await page.waitForURL(/again=1/);
  }],
  ["a message gets a reply that streams, with code, formulas and a table", async ({ page }) => {
    await send(page, "Show me everything. [[delay 20]]");
    await page.waitForURL(/\/c\//);
    await page.getByRole("button", { name: "Stop the reply" }).waitFor();
    const early = await showsText(page, 10);
    await ends(page, "complete");
    assert.ok((await prose(page)).length > early.length, "text grew while it was watched");
    await lastReply(page).locator(".code .tk-keyword").first().waitFor();
    await lastReply(page).locator(".katex").first().waitFor();
    assert.equal(await lastReply(page).locator("table tbody tr").count(), 2);
    assert.equal(await composer(page).inputValue(), "");
  }],
  ["a reload in the middle of a reply resumes it", async ({ page }) => {
    await send(page, "A long one. [[chunks 250]] [[delay 20]]");
    await showsText(page, 100);
    await page.reload();
    const resumed = await showsText(page, 150);
    assert.match(resumed, /^You said/);
    assert.equal(await lastReply(page).getAttribute("aria-busy"), "true", "it is still being written");
    await ends(page, "complete");
    const streamed = await prose(page);
    await page.reload();
    await ends(page, "complete");
    assert.equal(await prose(page), streamed, "what streamed is what is stored");
  }],
  ["a second tab shows the same reply while it is written", async ({ page, context }) => {
    const second = await context.newPage();
    await second.goto(page.url());
    await second.locator("article[data-role=assistant]").first().waitFor();
    await send(page, "For two. [[chunks 200]] [[delay 20]]");
    await second.getByText("For two.").first().waitFor();
    await showsText(second, 60);
    await Promise.all([ends(page, "complete"), ends(second, "complete")]);
    await sameText(page, second);
    await second.close();
  }],
  ["stopping keeps what was written", async ({ page }) => {
    await send(page, "Stop me. [[chunks 1000]] [[delay 20]]");
    await showsText(page, 60);
    await page.getByRole("button", { name: "Stop the reply" }).click();
    await ends(page, "stopped");
    assert.match(await prose(page), /^You said: Stop me./);
    await page.getByText("You stopped this reply.").waitFor();
  }],
  ["another answer is a sibling, and both can be looked at", async ({ page }) => {
    const first = await prose(page);
    await lastReply(page).getByRole("button", { name: "Write another answer" }).click();
    await page.getByRole("menuitem", { name: "mock-2" }).click();
    await page.getByText("2 / 2").waitFor();
    await page.waitForURL(/branch=/);
    await page.getByRole("button", { name: "Stop the reply" }).click();
    await ends(page, "stopped");
    await lastReply(page).getByText("mock-2").waitFor();
    await lastReply(page).getByRole("button", { name: "Previous version" }).click();
    await page.getByText("1 / 2").waitFor();
    assert.equal(await prose(page), first);
    await lastReply(page).getByRole("button", { name: "Next version" }).click();
    await page.getByText("2 / 2").waitFor();
  }],
  ["a reply that fails says why and can be tried again", async ({ page }) => {
    await send(page, "Break. [[error 400]]");
    await ends(page, "failed", 60_000);
    await lastReply(page).getByRole("alert").waitFor();
    await lastReply(page).getByRole("button", { name: "Try again" }).waitFor();
  }],
  ["a conversation is renamed in place", async ({ page }) => {
    const row = page.locator(".session-item").first();
    await row.hover();
    await row.getByRole("button", { name: /Options for/ }).click();
    await page.getByRole("menuitem", { name: "Rename" }).click();
    const field = page.getByRole("textbox", { name: "Title of the conversation" });
    await field.fill("Of tides and tables");
    await field.press("Enter");
    await page.getByRole("heading", { level: 1, name: "Of tides and tables" }).waitFor();
    await page.reload();
    await page.getByRole("link", { name: "Of tides and tables" }).waitFor();
  }],
  ["a deleted conversation comes back when that was a mistake", async ({ page }) => {
    const row = page.locator(".session-item").first();
    await row.hover();
    await row.getByRole("button", { name: /Options for/ }).click();
    await page.getByRole("menuitem", { name: "Delete" }).click();
    await page.getByText("Conversation deleted").waitFor();
    await page.getByRole("link", { name: "Of tides and tables" }).waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Undo" }).click();
    await page.getByRole("link", { name: "Of tides and tables" }).waitFor();
    await page.waitForURL(/\/c\//);
  }],
  ["a draft outlives a reload", async ({ page }) => {
    await composer(page).fill("half a thought");
    await page.reload();
    await composer(page).waitFor();
    await page.waitForFunction(() => document.querySelector<HTMLTextAreaElement>("#message")?.value === "half a thought");
    await composer(page).fill("");
  }],
  ["Enter inside an input method does not send", async ({ page }) => {
    await lastReply(page).waitFor();
    const before = await replies(page).count();
    const session = await page.context().newCDPSession(page);
    await composer(page).focus();
    await session.send("Input.imeSetComposition", { text: "ni hao", selectionStart: 6, selectionEnd: 6 });
    await page.evaluate(() => {
      const area = document.querySelector("#message");
      area?.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", keyCode: 229, isComposing: true, bubbles: true, cancelable: true }));
    });
    await session.send("Input.insertText", { text: "你好" });
    assert.equal(await composer(page).inputValue(), "你好");
    assert.equal(await replies(page).count(), before);
    await composer(page).fill("");
  }],
  ["dark, Chinese, and back", async ({ page }) => {
    await choose(page, "Dark");
    assert.ok(await page.evaluate(() => document.documentElement.classList.contains("dark")));
    await choose(page, "简体中文");
    await page.getByRole("link", { name: "新对话" }).first().waitFor();
    await page.reload();
    await page.getByRole("link", { name: "新对话" }).first().waitFor();
    assert.ok(await page.evaluate(() => document.documentElement.classList.contains("dark")), "the choice outlives a reload");
    await choose(page, "English");
    await choose(page, "Light");
  }],
  ["a server killed in the middle of a reply finishes it after its restart", async ({ page, server, base }) => {
    if (server.killAndRestart === null) return console.log("     (skipped: the server is not ours to kill)");
    await page.goto(base);
    await send(page, "Survive. [[chunks 300]] [[delay 25]]");
    await page.waitForURL(/\/c\//);
    await showsText(page, 80);
    await server.killAndRestart();
    await ends(page, "complete", 90_000);
    const streamed = await prose(page);
    await page.reload();
    await ends(page, "complete");
    assert.equal(await prose(page), streamed);
  }],
  ["a connection that breaks ten times in the middle of a reply loses nothing", async ({ page, wire }) => {
    await send(page, "Through ten tunnels. [[chunks 400]] [[delay 25]]");
    await showsText(page, 40);
    for (let cut = 0; cut < 10; cut += 1) {
      wire.cut();
      const before = (await prose(page)).length;
      if ((await lastReply(page).getAttribute("aria-busy")) === "true") await showsText(page, before + 1);
    }
    await ends(page, "complete", 60_000);
    const streamed = await prose(page);
    await page.reload();
    await ends(page, "complete");
    assert.equal(await prose(page), streamed);
  }],
  ["signing out in one tab signs out the other", async ({ page, context, base }) => {
    const second = await context.newPage();
    await second.goto(base);
    await composer(second).waitFor();
    await page.getByRole("button", { name: "Account and settings" }).click();
    await page.getByRole("menuitem", { name: "Sign out" }).click();
    await second.waitForURL(/\/login/);
    await second.close();
    await signIn(page, EMAIL);
    await composer(page).waitFor();
  }],
  ...MONEY_STEPS,
];

async function walk(world: World): Promise<void> {
  for (const [name, run] of STEPS) {
    const began = performance.now();
    try {
      await run(world);
      assert.deepEqual(world.errors, [], "the page's scripts made no error");
    } catch (error) {
      await world.page.screenshot({ path: "/tmp/oblivious-e2e-failure.png" }).catch(() => undefined);
      throw new Error(`at "${name}" (${world.page.url()}; see /tmp/oblivious-e2e-failure.png)`, { cause: error });
    }
    console.log(`ok   ${name} (${Math.round(performance.now() - began)} ms)`);
  }
}

async function main(): Promise<void> {
  const server = await startServer();
  const wire = await layWire(server.baseUrl);
  const browser = await launch();
  try {
    const context = await browser.newContext(ENGLISH);
    context.setDefaultTimeout(20_000);
    const page = await context.newPage();
    const errors: string[] = [];
    watchErrors(page, errors);
    await walk({ server, wire, base: wire.baseUrl, browser, context, page, errors });
    await sweep(browser, server.baseUrl, EMAIL);
    await operate({ browser, server, email: EMAIL });
    console.log("The journey is complete.");
  } catch (error) {
    if (server.killAndRestart !== null) console.error(readFileSync(server.log, "utf8").split("\n").slice(-40).join("\n"));
    throw error;
  } finally {
    await browser.close();
    wire.close();
    await server.stop();
  }
}

await main();
