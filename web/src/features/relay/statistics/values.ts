/** Figures of calls as the reader's language writes them. */
import { useTranslation } from "react-i18next";
import { formatNanos } from "@/lib/money";
import { durationParts } from "./figures";

const formats = new Map<string, Intl.NumberFormat>();

/** Making one costs about as much as using it a hundred times. */
function format(locale: string, options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const key = `${locale} ${JSON.stringify(options)}`;
  const known = formats.get(key) ?? new Intl.NumberFormat(locale, options);
  formats.set(key, known);
  return known;
}

export interface Formats {
  /** In full. */
  count: (value: number) => string;
  /** Thousands and millions by letter. */
  brief: (value: number) => string;
  percent: (share: number) => string;
  /** A dash where there was none. */
  duration: (ms: number | null | undefined) => string;
  money: (nanos: string | bigint | null | undefined, currency: string) => string;
}

export function useFormats(): Formats {
  const { t, i18n } = useTranslation("relay");
  const locale = i18n.language;
  const none = t("models.unknown");
  return {
    count: (value) => format(locale, {}).format(value),
    brief: (value) => format(locale, value < 10_000 ? {} : { notation: "compact", maximumFractionDigits: 1 }).format(value),
    percent: (share) => format(locale, { style: "percent", maximumFractionDigits: share > 0 && share < 0.1 ? 2 : 1 }).format(share),
    duration: (ms) => {
      if (ms == null) return none;
      const { value, unit, digits } = durationParts(ms);
      return format(locale, { style: "unit", unit, unitDisplay: "narrow", maximumFractionDigits: digits }).format(value);
    },
    money: (nanos, currency) => (nanos == null ? none : formatNanos(nanos, currency, locale)),
  };
}
