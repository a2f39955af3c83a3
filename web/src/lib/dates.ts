/** Dates for people. The server's times are UTC; moments are shown in the reader's time zone, statement days in UTC. */

type Style = "moment" | "day" | "shortDay";

const STYLES: Record<Style, Intl.DateTimeFormatOptions> = {
  moment: { dateStyle: "medium", timeStyle: "short" },
  day: { dateStyle: "medium", timeZone: "UTC" },
  shortDay: { month: "short", day: "numeric", timeZone: "UTC" },
};

const formats = new Map<string, Intl.DateTimeFormat>();

/** `iso` as `locale` writes it: a `moment` with its time, a `day` (`YYYY-MM-DD`) with or without its year. */
export function formatDate(iso: string, locale: string, style: Style): string {
  const key = `${locale} ${style}`;
  const format = formats.get(key) ?? new Intl.DateTimeFormat(locale, STYLES[style]);
  formats.set(key, format);
  return format.format(new Date(iso));
}
