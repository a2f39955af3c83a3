/**
 * Languages of the page. Only the chosen one is fetched: `locales/<language>.json` at the start, and the texts of the
 * pages that few visits open (`locales/<language>/<page>.json`, one i18next namespace each) together with those pages.
 */
import i18next from "i18next";
import { initReactI18next } from "react-i18next";
import { readStored, store } from "@/lib/storage";

export const LANGUAGES = { en: "English", "zh-CN": "简体中文" } as const;
export type Language = keyof typeof LANGUAGES;

export type PageTexts = "billing" | "keys" | "operations" | "relay";

const KEY = "oblivious.language";

const load: Record<Language, () => Promise<{ default: object }>> = {
  en: () => import("./locales/en.json"),
  "zh-CN": () => import("./locales/zh-CN.json"),
};

const loadPage = import.meta.glob<{ default: object }>("./locales/*/*.json");

/** The pages whose texts are in use: a change of the language fetches them too. */
const pages = new Set<PageTexts>();

function isLanguage(value: string | null): value is Language {
  return value !== null && Object.hasOwn(LANGUAGES, value);
}

/** The stored choice, else what the browser prefers. `public/theme.js` applies the same rule to `<html lang>`. */
export function initialLanguage(): Language {
  const stored = readStored(KEY);
  if (isLanguage(stored)) return stored;
  return /^zh/i.test(navigator.language) ? "zh-CN" : "en";
}

async function add(language: Language, namespace: string, texts: () => Promise<{ default: object }>): Promise<void> {
  const { default: bundle } = await texts();
  // Before the start there is nowhere to put them; `startI18n` comes here again for what is in use.
  if (i18next.isInitialized && !i18next.hasResourceBundle(language, namespace)) {
    i18next.addResourceBundle(language, namespace, bundle);
  }
}

async function addPage(language: Language, page: PageTexts): Promise<void> {
  const texts = loadPage[`./locales/${language}/${page}.json`];
  if (texts !== undefined) await add(language, page, texts);
}

async function apply(language: Language): Promise<void> {
  await Promise.all([add(language, "translation", load[language]), ...[...pages].map((page) => addPage(language, page))]);
  await i18next.changeLanguage(language);
  document.documentElement.lang = language;
}

export async function setLanguage(language: Language): Promise<void> {
  store(KEY, language);
  await apply(language);
}

/** A page's chunk and its texts at once. For the loaders in `app/pages.ts`. */
export async function withTexts<T>(page: PageTexts, chunk: () => Promise<T>): Promise<T> {
  pages.add(page);
  const language = i18next.language;
  const [loaded] = await Promise.all([chunk(), addPage(isLanguage(language) ? language : initialLanguage(), page)]);
  return loaded;
}

export async function startI18n(language: Language = initialLanguage()): Promise<void> {
  await i18next.use(initReactI18next).init({
    lng: language,
    fallbackLng: false,
    resources: {},
    partialBundledLanguages: true,
    interpolation: { escapeValue: false },
  });
  await apply(language);
}
