/** Languages of the page. Only the chosen one is fetched. */
import i18next from "i18next";
import { initReactI18next } from "react-i18next";
import { readStored, store } from "@/lib/storage";

export const LANGUAGES = { en: "English", "zh-CN": "简体中文" } as const;
export type Language = keyof typeof LANGUAGES;

const KEY = "oblivious.language";

const load: Record<Language, () => Promise<{ default: object }>> = {
  en: () => import("./locales/en.json"),
  "zh-CN": () => import("./locales/zh-CN.json"),
};

function isLanguage(value: string | null): value is Language {
  return value !== null && Object.hasOwn(LANGUAGES, value);
}

/** The stored choice, else what the browser prefers. `public/theme.js` applies the same rule to `<html lang>`. */
export function initialLanguage(): Language {
  const stored = readStored(KEY);
  if (isLanguage(stored)) return stored;
  return /^zh/i.test(navigator.language) ? "zh-CN" : "en";
}

async function apply(language: Language): Promise<void> {
  if (!i18next.hasResourceBundle(language, "translation")) {
    i18next.addResourceBundle(language, "translation", (await load[language]()).default);
  }
  await i18next.changeLanguage(language);
  document.documentElement.lang = language;
}

export async function setLanguage(language: Language): Promise<void> {
  store(KEY, language);
  await apply(language);
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
