/** The operator's screens, for the sweep through axe in every theme, language and width. */
import type { Page } from "playwright-core";
import type { Screen } from "./screens";

function at(name: string, path: string, ready: string, more: (page: Page) => Promise<void> = async () => undefined): Screen {
  const open = async (page: Page, base: string): Promise<void> => {
    await page.goto(`${base}/operations/${path}`);
    await page.locator(ready).first().waitFor();
    await more(page);
  };
  return { name: `operations-${name}`, signedIn: true, open };
}

async function openFirstUser(page: Page): Promise<void> {
  await page.locator("tbody tr").getByRole("link").first().click();
  await page.locator("dl").first().waitFor();
  await page.locator("tbody").first().waitFor();
}

/** `email` is of an account that exists. */
export function operatorScreens(email: string): Screen[] {
  const search = `users?query=${encodeURIComponent(email)}`;
  return [
    at("channels", "channels", "main li h2", async (page) => {
      await page.getByRole("button", { name: /Test call|测试调用/ }).first().click();
      await page.locator("main blockquote").first().waitFor();
    }),
    at("channel-refused", "channels?channel=new", "form", async (page) => {
      await page.locator("form button[type=submit]").click();
      await page.getByRole("alert").first().waitFor();
    }),
    at("channel-form", "channels", "main li h2", async (page) => {
      await page.getByRole("link", { name: /^(Edit|编辑) / }).first().click();
      await page.locator("details.fold > summary").first().waitFor();
      for (const summary of await page.locator("details.fold:not(details.fold details.fold) > summary").all()) await summary.click();
      await page.locator("details.fold details.fold > summary").first().waitFor();
      for (const summary of await page.locator("details.fold details.fold > summary").all()) await summary.click();
      await page.getByRole("button", { name: /^(Rates for long inputs|添加长输入费率)$/ }).first().click();
      await page.getByRole("button", { name: /^(Change a field|改写字段)$/ }).click();
      await page.getByRole("button", { name: /^(Add a header|添加请求头)$/ }).click();
    }),
    at("channel-history", "channels", "main li h2", async (page) => {
      await page.getByRole("link", { name: /^(History of|.* 的历史)/ }).first().click();
      await page.locator("details summary").first().click();
      await page.locator(".payload").waitFor();
    }),
    at("price-list", "models?view=import", "main form", async (page) => {
      await page.getByRole("heading", { level: 2 }).waitFor();
      await page.locator(".disclosure, table").first().waitFor();
    }),
    at("groups", "groups", "tbody tr"),
    at("group-form", "groups", "tbody tr", async (page) => {
      await page.locator("tbody button").first().click();
      await page.getByRole("dialog").waitFor();
    }),
    at("statistics", "statistics", ".stat-table tbody tr", async (page) => {
      await page.locator("figure summary").click();
      await page.locator("figure table").waitFor();
    }),
    at("calls", "statistics?view=calls", "main details", async (page) => {
      await page.locator("main details summary").first().click();
      await page.locator("main details[open] dl").waitFor();
    }),
    at("statistics-empty", "statistics?from=2020-01-01&to=2020-01-02", "main section"),
    at("channel-delete", "channels", "main li h2", async (page) => {
      await page.getByRole("button", { name: /^(Delete|删除)/ }).first().click();
      await page.getByRole("alertdialog").waitFor();
    }),
    at("models", "models", "tbody tr", async (page) => {
      await page.locator("tbody button").first().click();
      await page.locator("tbody form").waitFor();
    }),
    at("users", "users", "tbody tr"),
    at("user", search, "tbody tr", openFirstUser),
    at("grant", search, "tbody tr", async (page) => {
      await openFirstUser(page);
      await page.getByRole("button", { name: /Grant credit|赠送额度/ }).click();
      await page.getByRole("dialog").waitFor();
    }),
    at("events", "events?type=user", "details", async (page) => {
      await page.locator("summary").first().click();
      await page.locator(".payload").waitFor();
    }),
    at("events-empty", "events?type=nothing", "main section"),
    at("projections", "projections", "tbody tr"),
  ];
}
