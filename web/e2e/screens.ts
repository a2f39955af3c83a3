/** Every screen in every theme, language and width: axe must find nothing. `E2E_SHOTS=<folder>` keeps a picture of each. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { violations } from "./axe";
import { DESKTOP, PHONE } from "./browser";
import { composer, openAccountMenu, PASSWORD } from "./journey";
import { MONEY_SCREENS } from "./money";

export interface Screen {
  name: string;
  signedIn: boolean;
  open: (page: Page, base: string) => Promise<void>;
  only?: "phone" | "desktop";
}

async function openThread(page: Page, base: string): Promise<void> {
  await page.goto(base);
  await composer(page).waitFor();
  if ((page.viewportSize()?.width ?? 0) < 768) await page.getByRole("button", { name: /Open conversations|打开对话列表/ }).click();
  await page.getByRole("link", { name: "Of tides and tables" }).click();
  await page.locator("article[data-role=assistant] .prose").last().waitFor();
}

const SCREENS: readonly Screen[] = [
  {
    name: "sign-in",
    signedIn: false,
    open: async (page, base) => {
      await page.goto(`${base}/login`);
      await page.locator("input[name=email]").waitFor();
    },
  },
  {
    name: "sign-up-refused",
    signedIn: false,
    open: async (page, base) => {
      await page.goto(`${base}/register`);
      await page.locator("input[name=password]").fill("short");
      await page.locator("button[type=submit]").click();
      await page.getByRole("alert").first().waitFor();
    },
  },
  {
    name: "new-chat",
    signedIn: true,
    open: async (page, base) => {
      await page.goto(base);
      await composer(page).waitFor();
    },
  },
  { name: "thread-end", signedIn: true, open: openThread },
  {
    name: "thread-top",
    signedIn: true,
    open: async (page, base) => {
      await openThread(page, base);
      await page.locator(".thread").evaluate((box) => box.scrollTo(0, 0));
      await page.locator(".code .tk-keyword").first().waitFor();
    },
  },
  {
    name: "account-menu",
    signedIn: true,
    only: "desktop",
    open: async (page, base) => {
      await page.goto(base);
      await composer(page).waitFor();
      await openAccountMenu(page);
    },
  },
  {
    name: "drawer",
    signedIn: true,
    only: "phone",
    open: async (page, base) => {
      await page.goto(base);
      await page.getByRole("button", { name: /Open conversations|打开对话列表/ }).click();
      await page.getByRole("link", { name: "Of tides and tables" }).waitFor();
    },
  },
  {
    name: "shortcuts",
    signedIn: true,
    open: async (page, base) => {
      await page.goto(base);
      await composer(page).waitFor();
      await page.keyboard.press("Control+/");
      await page.getByRole("dialog").waitFor();
    },
  },
  {
    name: "not-found",
    signedIn: true,
    open: async (page, base) => {
      await page.goto(`${base}/no/such/page`);
      await page.getByRole("heading", { level: 1, name: /Nothing here|这里什么都没有/ }).waitFor();
    },
  },
  {
    name: "missing-thread",
    signedIn: true,
    open: async (page, base) => {
      await page.goto(`${base}/c/00000000-0000-7000-8000-000000000000`);
      await page.getByText(/does not exist|不存在/).waitFor();
    },
  },
  ...MONEY_SCREENS,
];

const THEMES = ["light", "dark"] as const;
const LANGUAGES = ["en", "zh-CN"] as const;
const WIDTHS = { desktop: DESKTOP, phone: PHONE } as const;

export async function signedInContext(browser: Browser, base: string, email: string): Promise<BrowserContext> {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`${base}/login`);
  await page.locator("input[name=email]").fill(email);
  await page.locator("input[name=password]").fill(PASSWORD);
  await page.locator("button[type=submit]").click();
  await composer(page).waitFor();
  await page.close();
  return context;
}

async function visit(context: BrowserContext, base: string, screen: Screen, width: keyof typeof WIDTHS, look: string): Promise<string[]> {
  const page = await context.newPage();
  await page.setViewportSize(WIDTHS[width]);
  try {
    await screen.open(page, base);
    // Tooltips and fades end; nothing else moves.
    await page.waitForTimeout(250);
    const found = await violations(page);
    const folder = process.env["E2E_SHOTS"];
    if (folder !== undefined) await page.screenshot({ path: join(folder, `${screen.name}.${look}.${width}.png`) });
    return found.map(({ rule, help, nodes }) => `${screen.name} ${look} ${width}: ${rule} (${help})\n    ${nodes.join("\n    ")}`);
  } finally {
    await page.close();
  }
}

type Theme = (typeof THEMES)[number];

/** One theme, in browsers of its own; what axe found, and how many screens were looked at. */
async function sweepTheme(browser: Browser, base: string, email: string, screens: readonly Screen[], theme: Theme): Promise<{ found: string[]; visited: number }> {
  const found: string[] = [];
  let visited = 0;
  const contexts = { true: await signedInContext(browser, base, email), false: await browser.newContext() };
  for (const language of LANGUAGES) {
    for (const context of Object.values(contexts)) {
      await context.addInitScript(`localStorage.setItem("oblivious.theme", "${theme}"); localStorage.setItem("oblivious.language", "${language}");`);
    }
    for (const screen of screens) {
      for (const width of Object.keys(WIDTHS) as (keyof typeof WIDTHS)[]) {
        if (screen.only !== undefined && screen.only !== width) continue;
        found.push(...(await visit(contexts[`${screen.signedIn}`], base, screen, width, `${theme}.${language}`)));
        visited += 1;
      }
    }
  }
  return { found, visited };
}

/**
 * Opens all of `screens` as `email`, the themes side by side, because each visit mostly waits; rejects with the list of
 * violations. Answers how many screens were looked at.
 */
export async function sweep(browser: Browser, base: string, email: string, screens: readonly Screen[] = SCREENS): Promise<number> {
  const folder = process.env["E2E_SHOTS"];
  if (folder !== undefined) mkdirSync(folder, { recursive: true });
  const swept = await Promise.all(THEMES.map((theme) => sweepTheme(browser, base, email, screens, theme)));
  const found = swept.flatMap((each) => each.found);
  if (found.length > 0) throw new Error(`axe found ${found.length} violations:\n${found.join("\n")}`);
  const visited = swept.reduce((sum, each) => sum + each.visited, 0);
  console.log(`ok   axe finds nothing on ${visited} screens (${screens.length} × themes × languages × widths)`);
  return visited;
}
