/** When a key ends: after some days, at the end of a day of one's own, or never. */
export const EXPIRIES = ["never", "month", "quarter", "year", "date"] as const;
export type Expiry = (typeof EXPIRIES)[number];

const DAYS = { month: 30, quarter: 90, year: 365 } as const;
const DAY_MS = 86_400_000;

/**
 * The moment for the server: undefined for never, null for a date that is missing or over. A day of one's own (YYYY-MM-DD)
 * ends in the reader's time zone.
 */
export function expiryMoment(expiry: Expiry, day: string, now: Date): string | undefined | null {
  if (expiry === "never") return undefined;
  if (expiry !== "date") return new Date(now.getTime() + DAYS[expiry] * DAY_MS).toISOString();
  const end = new Date(`${day}T23:59:59`);
  return Number.isNaN(end.getTime()) || end <= now ? null : end.toISOString();
}
