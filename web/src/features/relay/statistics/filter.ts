/** What the statistics and the list of calls are narrowed by, as it stands in the address. */
import { MAX_DAYS, monthOf, type Period } from "@/features/billing/period";
import type { OperationsSearch } from "@/features/operations/search";

export const GROUPINGS = ["channel", "model", "user", "key", "hour", "day"] as const;
export type Grouping = (typeof GROUPINGS)[number];
export const OUTCOMES = ["completed", "cancelled", "failed", "refused"] as const;
export type Outcome = (typeof OUTCOMES)[number];
/** What rows can be narrowed to. */
export const FILTERS = ["channel", "model", "user", "key"] as const;
export type Filter = (typeof FILTERS)[number];

/** The server's limit for rows by the hour, in days. */
const MAX_HOURLY_DAYS = 31;
/** Up to so many days a picture is drawn by the hour. */
const HOURLY_PICTURE_DAYS = 3;
const DAY_MS = 86_400_000;

export const PRESETS = ["day", "week", "thisMonth", "lastMonth", "custom"] as const;
export type StatisticsPreset = (typeof PRESETS)[number];

export interface StatisticsFilter extends Partial<Record<Filter, string>> {
  /** Null: the last 24 hours. */
  readonly period: Period | null;
  readonly by: Grouping;
  readonly outcome?: Outcome;
  readonly code?: string;
}

const DAY = /^\d{4}-\d{2}-\d{2}$/;

/** What an address says; what it cannot mean is left out. */
export function filterOf({ from, to, by, outcome, code, ...search }: OperationsSearch): StatisticsFilter {
  const period = from !== undefined && to !== undefined && DAY.test(from) && DAY.test(to) ? { from, to } : null;
  const known = OUTCOMES.find((each) => each === outcome);
  const narrowed = FILTERS.flatMap((name) => (search[name] === undefined ? [] : [[name, search[name]]]));
  return {
    period,
    by: GROUPINGS.find((each) => each === by) ?? "channel",
    ...Object.fromEntries(narrowed),
    ...(known === undefined ? {} : { outcome: known }),
    ...(code === undefined ? {} : { code }),
  };
}

/** The address of a filter. */
export function searchOf({ period, by, outcome, code, ...narrowed }: StatisticsFilter, view?: "calls"): OperationsSearch {
  return {
    ...(view === undefined ? {} : { view }),
    ...period,
    ...(by === "channel" ? {} : { by }),
    ...narrowed,
    ...(outcome === undefined ? {} : { outcome }),
    ...(code === undefined ? {} : { code }),
  };
}

/** The days of a period; the last 24 hours are one. */
export function lengthOf(period: Period | null): number {
  if (period === null) return 1;
  const length = (Date.parse(period.to) - Date.parse(period.from)) / DAY_MS + 1;
  return Number.isFinite(length) ? Math.min(Math.max(length, 1), MAX_DAYS) : 1;
}

/** Whether the server would tell rows by the hour. */
export function canBeHourly(period: Period | null): boolean {
  return lengthOf(period) <= MAX_HOURLY_DAYS;
}

/** The same in another period; rows by the hour become days where there would be too many. */
export function inPeriod(filter: StatisticsFilter, period: Period | null): StatisticsFilter {
  return { ...filter, period, by: filter.by === "hour" && !canBeHourly(period) ? "day" : filter.by };
}

/** The filter that a row of these rows stands for. */
export function narrowing(by: Grouping): Filter {
  return FILTERS.find((name) => name === by) ?? "channel";
}

/** In which steps a period is drawn. */
export function stepOf(period: Period | null): "hour" | "day" {
  return lengthOf(period) <= HOURLY_PICTURE_DAYS ? "hour" : "day";
}

function dayOf(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}

/** The period of a choice; null for the last 24 hours. */
export function periodOf(preset: Exclude<StatisticsPreset, "custom">, now: Date): Period | null {
  if (preset === "day") return null;
  if (preset === "week") return { from: dayOf(now.getTime() - 6 * DAY_MS), to: dayOf(now.getTime()) };
  return monthOf(now, preset === "thisMonth" ? 0 : 1);
}

/** Which choice a period is. */
export function presetOf(period: Period | null, now: Date): StatisticsPreset {
  if (period === null) return "day";
  const same = (preset: Exclude<StatisticsPreset, "custom">): boolean => {
    const other = periodOf(preset, now);
    return other?.from === period.from && other.to === period.to;
  };
  return (["week", "thisMonth", "lastMonth"] as const).find(same) ?? "custom";
}
