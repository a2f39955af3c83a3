/** The steps of the journey by the names people see. Every wait has a reason: something visible must happen. */
import assert from "node:assert/strict";
import type { Locator, Page } from "playwright-core";

export const PASSWORD = "a long and calm passphrase";

export const composer = (page: Page): Locator => page.getByRole("textbox", { name: /^(Message|消息)$/ });
export const replies = (page: Page): Locator => page.locator("article[data-role=assistant]");
export const lastReply = (page: Page): Locator => replies(page).last();

export async function register(page: Page, email: string, username: string): Promise<void> {
  await page.getByLabel("Email").fill(email);
  await page.getByLabel("Username").fill(username);
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await page.getByRole("button", { name: "Create account" }).click();
}

export async function signIn(page: Page, email: string): Promise<void> {
  await page.getByLabel("Email").fill(email);
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
}

/** Sends and waits until its own reply is on screen. */
export async function send(page: Page, text: string): Promise<void> {
  const before = (await replies(page).count()) === 0 ? null : await lastReply(page).getAttribute("data-id");
  await composer(page).fill(text);
  await composer(page).press("Enter");
  await page.waitForFunction((known) => {
    const all = document.querySelectorAll("article[data-role=assistant]");
    return all.length > 0 && all[all.length - 1]?.getAttribute("data-id") !== known;
  }, before);
}

/** Waits until the last reply has ended, and not otherwise than expected. */
export async function ends(page: Page, status: "complete" | "stopped" | "failed", timeout = 30_000): Promise<void> {
  const ended = await page.waitForFunction(
    () => {
      const all = document.querySelectorAll("article[data-role=assistant]");
      const now = all[all.length - 1]?.getAttribute("data-status") ?? "pending";
      return now === "pending" || now === "streaming" ? null : now;
    },
    undefined,
    { timeout },
  );
  assert.equal(await ended.jsonValue(), status);
}

/** Waits until the last reply shows at least `length` characters. */
export async function showsText(page: Page, length: number, timeout = 20_000): Promise<string> {
  await page.waitForFunction(
    (wanted) => {
      const all = document.querySelectorAll("article[data-role=assistant]");
      return (all[all.length - 1]?.querySelector(".prose")?.textContent ?? "").length >= wanted;
    },
    length,
    { timeout },
  );
  return prose(page);
}

/** The text of the last reply, once its markdown is set; formulas are left out, they are set when they can be. */
export async function prose(page: Page): Promise<string> {
  await lastReply(page).locator(".prose:not([data-plain], [data-partial])").waitFor();
  return lastReply(page)
    .locator(".prose")
    .evaluate((shown) => {
      const copy = shown.cloneNode(true) as Element;
      for (const formula of Array.from(copy.querySelectorAll("[data-formula]"))) formula.remove();
      return copy.textContent ?? "";
    });
}

/** The bare text: what must be equal between tabs and after a resume, however its code is coloured. */
export async function sameText(one: Page, other: Page): Promise<void> {
  assert.equal(await prose(one), await prose(other));
}

export async function openAccountMenu(page: Page): Promise<void> {
  await page.getByRole("button", { name: /Account and settings|账号与设置/ }).click();
}

export async function choose(page: Page, option: string): Promise<void> {
  await openAccountMenu(page);
  await page.getByRole("menuitemradio", { name: option }).click();
  await page.keyboard.press("Escape");
}
