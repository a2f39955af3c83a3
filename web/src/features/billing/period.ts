/** Periods of a statement: days in UTC (`YYYY-MM-DD`), both ends included, as the server counts them. */

/** The server's limit, in days. */
export const MAX_DAYS = 366;

export interface Period {
  readonly from: string;
  readonly to: string;
}

export type Preset = "thisMonth" | "lastMonth" | "custom";

const DAY_MS = 86_400_000;

function dayOf(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}

/** The calendar month `back` months before the one of `now`. */
export function monthOf(now: Date, back = 0): Period {
  const year = now.getUTCFullYear();
  const month = now.getUTCMonth() - back;
  return { from: dayOf(Date.UTC(year, month, 1)), to: dayOf(Date.UTC(year, month + 1, 0)) };
}

/** Which choice a period of the address is; none in the address means this month. */
export function presetOf(chosen: Partial<Period>, now: Date): Preset {
  const same = (month: Period): boolean => month.from === chosen.from && month.to === chosen.to;
  if (chosen.from === undefined || same(monthOf(now))) return "thisMonth";
  return same(monthOf(now, 1)) ? "lastMonth" : "custom";
}

export type PeriodProblem = "incomplete" | "backwards" | "tooLong";

/** Why the server would refuse a period; null for a good one. */
export function problemOfPeriod({ from, to }: Period): PeriodProblem | null {
  const length = (Date.parse(to) - Date.parse(from)) / DAY_MS + 1;
  if (Number.isNaN(length)) return "incomplete";
  if (length < 1) return "backwards";
  return length > MAX_DAYS ? "tooLong" : null;
}

/** Every day of a period that has begun, in order: days without a charge belong to the picture, the future does not. */
export function daysOf({ from, to }: Period, now: Date): string[] {
  const days: string[] = [];
  const end = Math.min(Date.parse(to), now.getTime());
  for (let time = Date.parse(from); time <= end && days.length < MAX_DAYS; time += DAY_MS) days.push(dayOf(time));
  return days;
}
