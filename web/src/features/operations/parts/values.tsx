/** Amounts, times and ids as the reader's language writes them. */
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { CopyButton } from "@/components/ui/CopyButton";
import { formatNanos } from "@/lib/money";

const moments = new Map<string, Intl.DateTimeFormat>();

/** Making one costs about as much as using it a hundred times. */
function momentFormat(locale: string, timeStyle: "short" | "medium"): Intl.DateTimeFormat {
  const key = `${locale} ${timeStyle}`;
  const format = moments.get(key) ?? new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle });
  moments.set(key, format);
  return format;
}

/** An amount to the last nano: operators compare. */
export function Amount({ nanos, currency }: { nanos: string; currency: string }): ReactNode {
  const { i18n } = useTranslation();
  return <span className="whitespace-nowrap tabular-nums">{formatNanos(nanos, currency, i18n.language, "exact")}</span>;
}

export function useNumber(): (value: number) => string {
  const { i18n } = useTranslation();
  return (value) => new Intl.NumberFormat(i18n.language).format(value);
}

export function Time({ at, seconds = false, wrap = false }: { at: string; seconds?: boolean; wrap?: boolean }): ReactNode {
  const { i18n } = useTranslation();
  return (
    <time dateTime={at} className={`tabular-nums ${wrap ? "" : "whitespace-nowrap"}`}>
      {momentFormat(i18n.language, seconds ? "medium" : "short").format(new Date(at))}
    </time>
  );
}

/** The end of an id tells two of them apart (they begin with the time), the button copies all of it. */
export function ShortId({ id, label }: { id: string; label: string }): ReactNode {
  return (
    <span className="inline-flex items-center gap-0.5">
      <span className="font-mono text-[0.8125rem]" title={id}>
        …{id.slice(-8)}
      </span>
      <CopyButton text={id} label={label} />
    </span>
  );
}

const TONES = {
  good: "bg-accent/12 text-accent",
  plain: "bg-hover text-muted",
  bad: "bg-danger/10 text-danger",
} as const;

export function Badge({ tone = "plain", children }: { tone?: keyof typeof TONES; children: ReactNode }): ReactNode {
  return <span className={`inline-flex items-center gap-1 rounded-full px-2 py-0.5 text-xs font-medium whitespace-nowrap ${TONES[tone]}`}>{children}</span>;
}
