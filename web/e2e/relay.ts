/**
 * The operator's steps about channels, prices, groups and statistics: everything that can be said of a channel, the way
 * back, the public price list, a group that pays less, and the story of a call.
 */
import assert from "node:assert/strict";
import type { Locator, Page } from "playwright-core";

export interface Place {
  page: Page;
  base: string;
  providerUrl: string;
  /** Whose wallet is looked at. */
  email: string;
}

export type Step = readonly [name: string, run: (place: Place) => Promise<void>];

export const CHANNEL = "Journey";
export const MODEL = "journey-1";

export const card = (page: Page): Locator => page.getByRole("listitem").filter({ has: page.getByRole("heading", { name: CHANNEL, exact: true }) });

export async function openUser({ page, base, email }: Place): Promise<void> {
  await page.goto(`${base}/operations/users`);
  await page.getByRole("searchbox", { name: /begins with/ }).fill(email);
  const row = page.getByRole("row").filter({ hasText: email });
  await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);
  await row.getByRole("link").click();
  await page.getByRole("heading", { name: "Ledger" }).waitFor();
}

const fold = (page: Page, title: string): Locator => page.locator("details.fold > summary").filter({ hasText: title });

async function openChannel(page: Page, base: string): Promise<void> {
  await page.goto(`${base}/operations/channels`);
  await card(page).getByRole("link", { name: `Edit ${CHANNEL}` }).click();
  await page.getByRole("heading", { name: `Edit ${CHANNEL}` }).waitFor();
}

async function everythingIsSaidOfIt({ page, base }: Place): Promise<void> {
  await openChannel(page, base);
  await fold(page, "Routing and limits").click();
  await page.getByRole("textbox", { name: "Priority" }).fill("7");
  await page.getByRole("textbox", { name: "Calls at the same time" }).fill("no");
  await fold(page, "Changes to requests").click();
  await page.getByRole("button", { name: "Add a header" }).click();
  await page.getByRole("textbox", { name: "Header", exact: true }).fill("X-Team");
  await page.getByLabel("Value", { exact: true }).fill("journey-header-secret");
  await fold(page, "Tags and note").click();
  await page.getByRole("textbox", { name: "Tags" }).fill("journey, eu");
  await page.getByRole("textbox", { name: "Add keys" }).fill("sk-second-9876543210");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("A whole number, such as 128000.").waitFor();
  await page.getByRole("textbox", { name: "Calls at the same time" }).fill("8");
  await page.getByRole("button", { name: "Save" }).click();
  await card(page).getByText("Priority 7").waitFor();
  await card(page).getByText("2 keys …6789, …3210").waitFor();
  await openChannel(page, base);
  await fold(page, "Changes to requests").click();
  await page.getByPlaceholder("stored, stays as it is").waitFor();
  assert.ok(!(await page.content()).includes("journey-header-secret"), "a secret header is never shown again");
  await page.getByRole("button", { name: "Remove the key …6789" }).click();
  await page.getByRole("button", { name: "Save" }).click();
  await card(page).getByText("1 key …3210").waitFor();
}

async function itReturnsToWhatItWas({ page, base }: Place): Promise<void> {
  await openChannel(page, base);
  await page.getByRole("link", { name: "History" }).click();
  const changes = page.getByRole("list", { name: "Changes, newest first" }).locator("details");
  const before = changes.filter({ hasText: "Keys changed" }).nth(1);
  await before.locator("summary").click();
  await before.getByRole("button", { name: /Return to version/ }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Return to it" }).click();
  await page.getByText(/^Returned to version/).waitFor();
  await page.goto(`${base}/operations/channels`);
  await card(page).getByText("2 keys …6789, …3210").waitFor();
}

async function publicPricesAreLookedAt({ page, base }: Place): Promise<void> {
  await page.goto(`${base}/operations/models`);
  await page.getByRole("link", { name: "Public price list" }).click();
  await page.getByText("LiteLLM").first().waitFor();
  await page.getByRole("textbox", { name: /so many times the list/ }).fill("1,2");
  await page.getByRole("button", { name: "Show what changes" }).click();
  await page.getByText("A decimal number with a point").waitFor();
  await page.getByRole("textbox", { name: /so many times the list/ }).fill("1.2");
  await page.getByRole("button", { name: "Show what changes" }).click();
  await page.getByText(/not in the list/).click();
  await page.getByRole("listitem").filter({ hasText: MODEL }).waitFor();
}

async function aGroupPaysLess(place: Place): Promise<void> {
  const { page, base } = place;
  await page.goto(`${base}/operations/groups`);
  await page.getByRole("button", { name: "Add a group" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("textbox", { name: "Name" }).fill("Journey Group");
  await dialog.getByRole("textbox", { name: "Title" }).fill("Of the journey");
  await dialog.getByRole("textbox", { name: "Pays of every price" }).fill("0.5");
  await dialog.getByRole("button", { name: "Add a group" }).click();
  await dialog.getByText("Not a name that can be used here.").waitFor();
  await dialog.getByRole("textbox", { name: "Name" }).fill("journey");
  await dialog.getByRole("button", { name: "Add a group" }).click();
  await dialog.waitFor({ state: "detached" });
  await page.getByRole("row").filter({ hasText: "Of the journey" }).getByText("× 0.5").waitFor();
  await openUser(place);
  await page.getByRole("combobox", { name: "Group" }).selectOption("journey");
  await page.getByRole("button", { name: "Put into this group" }).click();
  await page.getByText(/is in journey now/).waitFor();
  await page.goto(`${base}/operations/groups`);
  await page.getByRole("row").filter({ hasText: "Of the journey" }).getByRole("cell", { name: "1", exact: true }).waitFor();
}

async function callsAreCounted({ page, base }: Place): Promise<void> {
  await page.goto(`${base}/operations/statistics`);
  await page.locator(".stat-table tbody tr").first().waitFor();
  await page.getByRole("button", { name: "Model", exact: true }).click();
  await page.waitForURL(/by=model/);
  const file = page.waitForEvent("download");
  await page.getByRole("button", { name: "CSV" }).click();
  assert.match((await file).suggestedFilename(), /^oblivious-statistics-model-24h\.csv$/);
  await page.locator(".stat-table tbody").getByRole("link").first().click();
  await page.getByRole("heading", { name: "Single calls" }).waitFor();
  await page.getByRole("button", { name: "Completed" }).click();
  await page.waitForURL(/outcome=completed/);
  const call = page.getByRole("list", { name: /^Calls/ }).locator("details").first();
  await call.locator("summary").click();
  await call.getByRole("list", { name: "Who was asked" }).getByRole("listitem").first().waitFor();
}

async function anUnusedGroupIsRemoved(place: Place): Promise<void> {
  const { page, base } = place;
  const remove = async (): Promise<void> => {
    await page.goto(`${base}/operations/groups`);
    await page.getByRole("button", { name: "Remove the group journey" }).click();
    await page.getByRole("alertdialog").getByRole("button", { name: "Remove" }).click();
  };
  await remove();
  await page.getByText("Of the journey stays: 1 user is in it.").waitFor();
  await openUser(place);
  await page.getByRole("combobox", { name: "Group" }).selectOption("default");
  await page.getByRole("button", { name: "Put into this group" }).click();
  await page.getByText(/is in default now/).waitFor();
  await page.goto(`${base}/operations/groups`);
  await page.getByRole("row").filter({ hasText: "Of the journey" }).getByRole("cell", { name: "0", exact: true }).waitFor();
  await remove();
  await page.getByRole("row").filter({ hasText: "Of the journey" }).waitFor({ state: "detached" });
}

/** After the channel was added and its price changed. */
export const RELAY_STEPS: readonly Step[] = [
  ["everything is said of the channel, keys come and go one by one, secrets stay hidden", everythingIsSaidOfIt],
  ["the channel returns to what it was", itReturnsToWhatItWas],
  ["the public price list tells what it would change, and what it does not know", publicPricesAreLookedAt],
  ["a group pays less, and a user is put into it", aGroupPaysLess],
  ["calls are counted, and each tells its story", callsAreCounted],
  ["a group that is used stays, and goes when nobody is in it", anUnusedGroupIsRemoved],
];
