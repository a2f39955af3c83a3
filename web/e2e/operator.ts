/**
 * The operator's journey: a channel from nothing to its first answer, credit that is granted once, and the log that tells
 * all of it. Then each of these screens through axe in every theme, language and width.
 */
import assert from "node:assert/strict";
import type { Browser, Locator, Page } from "playwright-core";
import { ENGLISH, watchErrors } from "./browser";
import { composer, openAccountMenu, signIn } from "./journey";
import { operatorScreens } from "./operator-screens";
import { card, CHANNEL, MODEL, openUser, RELAY_STEPS, type Place, type Step } from "./relay";
import { signedInContext, sweep } from "./screens";
import type { Server } from "./server";

export interface Operation {
  browser: Browser;
  server: Server;
  /** An account that is no operator's. */
  email: string;
}

const rates = (page: Page, of: "Costs" | "Prices"): Locator => page.getByRole("group", { name: `${of} per million tokens` });

async function to(page: Page, section: string): Promise<void> {
  await page.getByRole("navigation", { name: "Operations" }).getByRole("link", { name: section }).click();
}

/** The nano-units of an exact amount on the page: `$2.50` is 2500000000. */
function nanosOf(shown: string): bigint {
  const [whole = "", fraction = ""] = shown.replace(/[^\d.]/g, "").split(".");
  return BigInt(whole + fraction.padEnd(9, "0"));
}

async function available(page: Page): Promise<bigint> {
  return nanosOf((await page.locator("dl div", { hasText: "Available" }).locator("dd").textContent()) ?? "");
}

/** The balance is asked for beside the ledger: it may come a moment later. */
async function becomes(page: Page, wanted: bigint): Promise<void> {
  for (let look = 0; look < 50 && (await available(page)) !== wanted; look += 1) await page.waitForTimeout(100);
  assert.equal(await available(page), wanted, "to the nano");
}

async function aChannelIsAdded({ page, providerUrl }: Place): Promise<void> {
  await page.getByRole("link", { name: "Add a channel" }).click();
  await page.getByRole("button", { name: "Add channel" }).click();
  await page.waitForFunction(() => document.querySelectorAll("form [aria-invalid=true]").length >= 4);
  await page.getByRole("textbox", { name: "Name", exact: true }).first().fill(CHANNEL);
  const address = page.getByRole("textbox", { name: "Base URL" });
  await address.fill("http://169.254.169.254/v1");
  await page.getByRole("textbox", { name: "Keys" }).fill("sk-journey-0123456789");
  await page.getByRole("textbox", { name: "Name", exact: true }).last().fill(MODEL);
  await page.getByRole("textbox", { name: "Name at the provider" }).fill("mock-1");
  await rates(page, "Costs").getByRole("textbox", { name: "Input", exact: true }).fill("0.15");
  await rates(page, "Costs").getByRole("textbox", { name: "Output" }).fill("0.60");
  await page.getByRole("button", { name: "Use costs as prices" }).click();
  await rates(page, "Prices").getByRole("textbox", { name: "Output" }).fill("1.20");
  await page.getByRole("button", { name: "Add channel" }).click();
  await page.getByText(/does not call that address/).waitFor();
  assert.equal(await address.getAttribute("aria-invalid"), "true", "the server's refusal stands at its field");
  await address.fill(providerUrl);
  await page.getByRole("button", { name: "Add channel" }).click();
  await card(page).getByText("Disabled").waitFor();
  await card(page).getByText("0.15 / 1.20").waitFor();
  assert.ok(!(await page.content()).includes("sk-journey"), "a key is never shown again");
  await card(page).getByText("…6789").waitFor();
}

async function aTestCallAnswers({ page }: Place): Promise<void> {
  await card(page).getByRole("button", { name: /Test call/ }).click();
  await card(page).getByText(new RegExp(`${MODEL} answered in [\\d,]+ ms`)).waitFor();
  assert.ok(((await card(page).getByRole("status").locator("blockquote").textContent()) ?? "").length > 0, "the answer is shown");
}

async function itIsEnabledAndOffered({ page, base }: Place): Promise<void> {
  await card(page).getByRole("switch").click();
  await card(page).getByText("Enabled", { exact: true }).waitFor();
  await page.goto(base);
  await page.getByRole("button", { name: /^Model:/ }).click();
  await page.getByRole("menuitemradio", { name: MODEL }).waitFor();
  await page.keyboard.press("Escape");
}

async function aPriceIsChangedInPlace({ page, base }: Place): Promise<void> {
  await page.goto(`${base}/operations/models`);
  const row = page.getByRole("row").filter({ hasText: MODEL }).first();
  await row.getByText("50%").waitFor();
  await row.getByRole("button", { name: /Change prices/ }).click();
  await page.getByText("Version 1 applies now.").waitFor();
  await rates(page, "Prices").getByRole("textbox", { name: "Output" }).fill("2.40");
  await page.getByRole("button", { name: "Save" }).click();
  await row.getByText("75%").waitFor();
  await row.getByRole("button", { name: /Change prices/ }).click();
  await page.getByText("Version 2 applies now.").waitFor();
}

async function creditIsGrantedOnce(place: Place): Promise<void> {
  const { page } = place;
  await openUser(place);
  const before = await available(page);
  await page.getByRole("button", { name: "Grant credit" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Grant", exact: true }).click();
  await dialog.getByText("This is needed.").waitFor();
  await dialog.getByRole("textbox", { name: /Amount/ }).fill("2.500000001");
  await dialog.getByRole("textbox", { name: "Reason" }).fill("For the journey");
  await dialog.getByRole("button", { name: "Grant", exact: true }).dblclick();
  await dialog.waitFor({ state: "detached" });
  await page.getByText("For the journey").waitFor();
  assert.equal(await page.getByText("For the journey").count(), 1, "one booking");
  await becomes(page, before + 2_500_000_001n);
  await page.reload();
  await page.getByText("For the journey").waitFor();
  await becomes(page, before + 2_500_000_001n);
}

async function theLogTellsIt({ page }: Place): Promise<void> {
  await page.getByRole("link", { name: "Events of the wallet" }).click();
  await page.waitForURL(/type=wallet/);
  const granted = page.locator("details").filter({ hasText: "wallet.granted" }).first();
  await granted.locator("summary").click();
  const payload = granted.getByRole("group", { name: "Payload" });
  await payload.getByText("2500000001").first().waitFor();
  await payload.getByText("sealed").first().waitFor();
  assert.ok(!(await page.content()).includes("For the journey"), "what is sealed stays closed");
  await page.getByRole("button", { name: "Show all" }).click();
  await page.getByRole("textbox", { name: "Event type" }).fill("channel.added");
  await page.getByRole("button", { name: "Filter" }).click();
  await page.waitForURL(/event=channel.added/);
  await page.locator("summary").first().click();
  await page.locator(".payload").getByText(CHANNEL).first().waitFor();
  assert.ok(!(await page.locator(".payload").first().textContent())?.includes("sk-journey"), "no key is in the log");
}

async function projectionsCatchUp({ page }: Place): Promise<void> {
  await to(page, "Projections");
  await page.getByRole("row", { name: /billing_v1.*up to date/ }).waitFor();
  const shown = page.locator("section time");
  const first = await shown.getAttribute("datetime");
  await page.waitForFunction((known) => document.querySelector("section time")?.getAttribute("datetime") !== known, first);
}

async function itIsDeleted({ page, base }: Place): Promise<void> {
  await page.goto(`${base}/operations/channels`);
  await card(page).getByRole("button", { name: /^Delete/ }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Cancel" }).click();
  await card(page).getByRole("button", { name: /^Delete/ }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Delete" }).click();
  await card(page).waitFor({ state: "detached" });
}

const STEPS: readonly Step[] = [
  ["an operator adds a channel; what is refused stands at its field", aChannelIsAdded],
  ["a test call says how long it took and what came back", aTestCallAnswers],
  ["the channel is enabled and its model is offered", itIsEnabledAndOffered],
  ["a price is changed in place and makes a new version", aPriceIsChangedInPlace],
  ...RELAY_STEPS,
  ["credit is granted once, to the nano, however often one clicks", creditIsGrantedOnce],
  ["the log tells of it, and sealed fields stay closed", theLogTellsIt],
  ["the projections catch up, seen without a click", projectionsCatchUp],
  ["a channel is deleted after a question", itIsDeleted],
];

/** Whoever is no operator is not even told that there is something. */
async function othersFindNothing({ browser, server, email }: Operation): Promise<void> {
  const context = await signedInContext(browser, server.baseUrl, email);
  const page = await context.newPage();
  await page.goto(`${server.baseUrl}/operations/users`);
  await page.getByRole("heading", { name: "Nothing here" }).waitFor();
  await openAccountMenu(page);
  assert.equal(await page.getByRole("menuitem", { name: "Operations" }).count(), 0);
  await context.close();
}

/** Skipped where the server is not ours: then nobody told us its operator's password. */
export async function operate(operation: Operation): Promise<void> {
  const { browser, server, email } = operation;
  if (server.operator === null) return console.log("     (the operator's journey is skipped: E2E_ADMIN_EMAIL and E2E_PROVIDER_URL are not set)");
  const context = await browser.newContext(ENGLISH);
  context.setDefaultTimeout(20_000);
  const page = await context.newPage();
  const errors: string[] = [];
  watchErrors(page, errors);
  await page.goto(`${server.baseUrl}/login`);
  await signIn(page, server.operator.email);
  await composer(page).waitFor();
  await openAccountMenu(page);
  await page.getByRole("menuitem", { name: "Operations" }).click();
  await page.waitForURL(/\/operations\/channels/);
  const place = { page, base: server.baseUrl, providerUrl: server.operator.providerUrl, email };
  for (const [name, run] of STEPS) {
    const began = performance.now();
    try {
      await run(place);
      assert.deepEqual(errors, [], "the page's scripts made no error");
    } catch (error) {
      await page.screenshot({ path: "/tmp/oblivious-e2e-failure.png" }).catch(() => undefined);
      throw new Error(`at "${name}" (${page.url()}; see /tmp/oblivious-e2e-failure.png)`, { cause: error });
    }
    console.log(`ok   ${name} (${Math.round(performance.now() - began)} ms)`);
  }
  await context.close();
  await othersFindNothing(operation);
  await sweep(browser, server.baseUrl, server.operator.email, operatorScreens(email));
}
