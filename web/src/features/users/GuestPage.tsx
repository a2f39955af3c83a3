import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Mark } from "@/components/ui/Brand";
import { LANGUAGES, setLanguage, type Language } from "@/i18n";

/** The frame of the sign-in pages: a quiet card, the language switch below it. */
export function GuestPage({ title, text, children }: { title: string; text: string; children: ReactNode }): ReactNode {
  const { t, i18n } = useTranslation();
  return (
    <main className="guest flex min-h-dvh flex-col items-center justify-center gap-8 px-4 py-10">
      <div className="w-full max-w-[25rem]">
        <div className="mb-8 flex flex-col items-center gap-4 text-center">
          <Mark className="size-12" />
          <div>
            <h1 className="font-display text-3xl tracking-tight text-balance">{title}</h1>
            <p className="text-muted mt-2 text-pretty">{text}</p>
          </div>
        </div>
        <div className="border-line bg-surface shadow-card rounded-3xl border p-6 sm:p-8">{children}</div>
      </div>
      <div className="flex items-center gap-1" role="group" aria-label={t("settings.language")}>
        {(Object.keys(LANGUAGES) as Language[]).map((language) => (
          <button
            key={language}
            type="button"
            lang={language}
            aria-pressed={i18n.language === language}
            className="text-muted hover:bg-hover aria-pressed:text-ink min-h-11 cursor-pointer rounded-lg px-3 text-sm aria-pressed:font-medium"
            onClick={() => void setLanguage(language)}
          >
            {LANGUAGES[language]}
          </button>
        ))}
      </div>
    </main>
  );
}
