/** The journey's steps about money, usage and keys: what an answer costs, where it went, what a key may do and for how long. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { composer, ends, lastReply, openAccountMenu, send } from "./journey";
import type { Screen } from "./screens";

/** By then a call has settled and the page has heard of it. */
const SETTLED_MS = 5_000;

interface Place {
  page: Page;
  base: string;
}

/** The nano-units of an exact amount on the page: `$0.9989675` is 998967500. */
function nanosOf(shown: string): bigint {
  const [whole = "", fraction = ""] = shown.replace(/[^\d.]/g, "").split(".");
  return BigInt(whole + fraction.padEnd(9, "0"));
}

async function openFromMenu(page: Page, name: string | RegExp): Promise<void> {
  await openAccountMenu(page);
  await page.getByRole("menuitem", { name }).click();
}

async function available(page: Page): Promise<bigint> {
  return nanosOf((await page.getByTestId("available").textContent()) ?? "");
}

/** Waits until the balance is this one, to the nano: a reservation may still be on its way back. */
async function becomes(page: Page, nanos: bigint): Promise<void> {
  const until = Date.now() + SETTLED_MS;
  while ((await available(page)) !== nanos && Date.now() < until) await page.waitForTimeout(50);
  assert.equal(await available(page), nanos);
}

function asks(base: string, key: string): Promise<Response> {
  const body = JSON.stringify({ model: "mock-1", messages: [{ role: "user", content: "With a key." }] });
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  return fetch(`${base}/v1/chat/completions`, { method: "POST", headers, body });
}

async function theBalanceFallsByWhatAnAnswerCost({ page, base }: Place): Promise<void> {
  await page.goto(base);
  await composer(page).waitFor();
  await openFromMenu(page, /Balance/);
  await page.waitForURL(/\/balance$/);
  await page.getByTestId("available").waitFor();
  const before = await available(page);
  await page.goto(base);
  await send(page, "What does this cost? [[delay 5]]");
  await ends(page, "complete");
  const shown = lastReply(page).locator("[data-cost]");
  await shown.waitFor();
  const cost = BigInt((await shown.getAttribute("data-cost")) ?? "0");
  assert.ok(cost > 0n, "an answer of this model costs something");
  await openFromMenu(page, /Balance/);
  await page.getByTestId("charges").getByText(/mock-1/).first().waitFor();
  await becomes(page, before - cost);
  const newest = page.getByTestId("charges").locator("li").first();
  assert.equal(nanosOf((await newest.locator(".amount").textContent()) ?? ""), cost);
  await page.getByRole("tab", { name: "Ledger" }).click();
  await page.getByText("Reserved for an answer", { exact: true }).first().waitFor();
  await page.getByRole("tab", { name: "Charges" }).click();
  await newest.getByRole("link", { name: "Open the conversation" }).click();
  await page.waitForURL(/\/c\//);
  await page.getByText("What does this cost?").first().waitFor();
}

async function aKeyIsMadeShownOnceAndRevoked({ page, base }: Place): Promise<void> {
  await openFromMenu(page, "API keys");
  await page.waitForURL(/\/keys$/);
  await page.getByText("No keys in use").waitFor();
  await page.getByRole("button", { name: "New key" }).click();
  await page.getByRole("button", { name: "Make the key" }).click();
  await page.getByText("The key needs a name.").waitFor();
  await page.getByLabel("Name", { exact: true }).fill("Journey");
  await page.getByRole("button", { name: "Make the key" }).click();
  const field = page.getByRole("textbox", { name: "API key" });
  await field.waitFor();
  const key = await field.inputValue();
  assert.ok((await page.getByRole("dialog").locator("pre").first().textContent())?.includes(`Authorization: Bearer ${key}`), "the call is ready to run");
  assert.equal((await asks(base, key)).status, 200, "the key works at once");
  await page.getByRole("button", { name: "I have copied it" }).click();
  const row = page.getByRole("list", { name: "Keys in use" }).getByRole("listitem");
  await row.getByText(`…${key.slice(-4)}`).waitFor();
  assert.ok(!(await page.content()).includes(key), "the secret is nowhere on the page any more");
  await page.reload();
  await row.getByText(/Last used/).waitFor();
  await row.getByRole("button", { name: /Revoke/ }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Revoke" }).click();
  await page.getByText("No keys in use").waitFor();
  assert.equal((await asks(base, key)).status, 401, "and not a moment longer");
}

async function aCallWithAKeyIsOnTheStatementLive({ page, base }: Place): Promise<void> {
  await page.goto(`${base}/keys`);
  await page.getByRole("button", { name: "New key" }).click();
  await page.getByLabel("Name", { exact: true }).fill("Statement");
  await page.getByRole("button", { name: "Make the key" }).click();
  const key = await page.getByRole("textbox", { name: "API key" }).inputValue();
  await page.getByRole("button", { name: "I have copied it" }).click();
  await openFromMenu(page, /Balance/);
  await page.getByTestId("available").waitFor();
  const shown = await page.getByTestId("available").textContent();
  const before = await available(page);
  assert.equal((await asks(base, key)).status, 200);
  // Nothing is clicked: the event stream says that money moved.
  await page.getByRole("row", { name: /^Statement/ }).waitFor();
  await page.waitForFunction((known) => document.querySelector("[data-testid=available]")?.textContent !== known, shown);
  assert.ok((await available(page)) < before);
}

/** What an answer and a call with a key added up to; the figures follow the calls by a second or so. */
async function onesOwnUsageIsCounted({ page, base }: Place): Promise<void> {
  await openFromMenu(page, "Usage");
  await page.waitForURL(/\/usage$/);
  await page.getByRole("row", { name: /^mock-1/ }).waitFor();
  await page.getByRole("button", { name: "API key", exact: true }).click();
  await page.waitForURL(/by=key/);
  const row = page.getByRole("row", { name: /^Statement/ });
  const until = Date.now() + SETTLED_MS;
  while (!(await row.isVisible()) && Date.now() < until) {
    await page.waitForTimeout(250);
    await page.reload();
    await page.getByRole("row", { name: /^without a key/ }).waitFor();
  }
  await row.getByRole("link").click();
  await page.waitForURL(/by=day&key=|key=[^&]+&by=day/);
  const requests = page.locator("dt").filter({ hasText: /^Requests$/ }).locator("xpath=following-sibling::dd[1]");
  await page.waitForFunction(() => document.querySelectorAll(".stat-table tbody tr").length === 1);
  assert.equal(await requests.textContent(), "1", "narrowed to the key, its one call is left");
  assert.ok(!(await page.locator("main, body").first().innerText()).includes("Cost"), "what the house pays is nobody's business");
  await page.getByRole("button", { name: /^Do not narrow to API key/ }).click();
  await page.waitForURL((url) => !url.searchParams.has("key"));
  await page.goto(`${base}/usage?from=2020-01-01&to=2020-01-02`);
  await page.getByText("No requests in this period").waitFor();
}

export const MONEY_STEPS: readonly (readonly [name: string, run: (place: Place) => Promise<void>])[] = [
  ["the balance falls by exactly what an answer cost", theBalanceFallsByWhatAnAnswerCost],
  ["a key is made, shown once, works, and is revoked", aKeyIsMadeShownOnceAndRevoked],
  ["a call with a key is on the statement without a click", aCallWithAKeyIsOnTheStatementLive],
  ["one's own usage is counted by model, by key and by day", onesOwnUsageIsCounted],
];

const openNewKey = async (page: Page, base: string): Promise<void> => {
  await page.goto(`${base}/keys`);
  await page.getByRole("button", { name: /New key|新建密钥/ }).first().click();
  await page.getByRole("dialog").waitFor();
};

/** For an account with a charge. They make the keys that they show. */
export const MONEY_SCREENS: readonly Screen[] = [
  {
    name: "balance",
    signedIn: true,
    open: async (page, base) => {
      await page.goto(`${base}/balance`);
      await page.getByTestId("charges").waitFor();
      await page.locator("summary").first().click();
    },
  },
  {
    name: "balance-other-days",
    signedIn: true,
    open: async (page, base) => {
      await page.goto(`${base}/balance?from=2026-01-01&to=2026-01-31`);
      await page.getByLabel(/^(From|从)$/).fill("2026-02-01");
      await page.getByRole("button", { name: /^(Show|查看)$/ }).click();
      await page.getByRole("alert").waitFor();
    },
  },
  {
    name: "ledger",
    signedIn: true,
    open: async (page, base) => {
      await page.goto(`${base}/balance`);
      await page.getByRole("tab", { name: /Ledger|总账/ }).click();
      await page.getByText(/^(Reserved for an answer|为回答预留)$/).first().waitFor();
    },
  },
  {
    name: "usage",
    signedIn: true,
    open: async (page, base) => {
      await page.goto(`${base}/usage?by=key`);
      await page.locator(".stat-table tbody tr").first().waitFor();
      await page.locator("figure summary").click();
      await page.locator("figure table").waitFor();
    },
  },
  {
    name: "usage-empty",
    signedIn: true,
    open: async (page, base) => {
      await page.goto(`${base}/usage?from=2020-01-01&to=2020-01-02&by=day`);
      await page.getByRole("link", { name: /^(Ask something|开始提问)$/ }).waitFor();
    },
  },
  {
    name: "key-shown-once",
    signedIn: true,
    open: async (page, base) => {
      await openNewKey(page, base);
      await page.getByLabel(/^(Name|名称)$/).fill("Sweep");
      await page.getByRole("button", { name: /Make the key|创建密钥/ }).click();
      await page.getByRole("textbox", { name: /^(API key|API 密钥)$/ }).waitFor();
    },
  },
  {
    name: "keys",
    signedIn: true,
    open: async (page, base) => {
      await page.goto(`${base}/keys`);
      await page.getByRole("list", { name: /Keys in use|使用中的密钥/ }).waitFor();
      for (const summary of await page.locator("summary").all()) await summary.click();
    },
  },
  {
    name: "new-key-refused",
    signedIn: true,
    open: async (page, base) => {
      await openNewKey(page, base);
      await page.getByRole("checkbox", { name: /All models|所有模型/ }).uncheck();
      await page.getByRole("button", { name: /Make the key|创建密钥/ }).click();
      await page.getByRole("alert").first().waitFor();
    },
  },
  {
    name: "revoke-key",
    signedIn: true,
    open: async (page, base) => {
      await page.goto(`${base}/keys`);
      await page.getByRole("button", { name: /^(Revoke|吊销)/ }).first().click();
      await page.getByRole("alertdialog").waitFor();
    },
  },
];
