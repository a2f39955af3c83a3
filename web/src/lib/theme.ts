/** Light, dark, or as the system says. `public/theme.js` applies the same rule before the first paint. */
import { create } from "zustand";
import { readStored, store } from "./storage";

export const THEMES = ["light", "dark", "system"] as const;
export type Theme = (typeof THEMES)[number];

const KEY = "oblivious.theme";
const systemDark = typeof matchMedia === "function" ? matchMedia("(prefers-color-scheme: dark)") : null;

function storedTheme(): Theme {
  const value = readStored(KEY);
  return THEMES.find((theme) => theme === value) ?? "system";
}

function apply(theme: Theme): void {
  const dark = theme === "dark" || (theme === "system" && systemDark?.matches === true);
  document.documentElement.classList.toggle("dark", dark);
}

export const useTheme = create<{ theme: Theme; setTheme: (theme: Theme) => void }>((set) => ({
  theme: storedTheme(),
  setTheme: (theme) => {
    store(KEY, theme === "system" ? null : theme);
    apply(theme);
    set({ theme });
  },
}));

systemDark?.addEventListener("change", () => apply(useTheme.getState().theme));
