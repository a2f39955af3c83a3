/** Sums and shapes of what the server tells of calls. */
import type { Figures, Statistics, StatisticsRow } from "@/features/operations/types";

type Tokens = Figures["tokens"];

export function inputTokens({ input, cached_input, cache_write, audio_input, image_input }: Tokens): number {
  return input + cached_input + cache_write + audio_input + image_input;
}

export function outputTokens({ output, reasoning, audio_output, image_output }: Tokens): number {
  return output + reasoning + audio_output + image_output;
}

/** The highest column still has to be seen where it is low. */
const VISIBLE_PERCENT = 2;
const STEP_MS = { hour: 3_600_000, day: 86_400_000 } as const;
/** A year of days, or a month of hours. */
const MAX_COLUMNS = 800;

export interface Column {
  /** When it begins, in milliseconds since the epoch. */
  readonly at: number;
  readonly requests: number;
  readonly errors: number;
  readonly chargedNanos: bigint;
  /** Of the highest column, 0 to 100. */
  readonly percent: number;
  /** Of this column, 0 to 100: the requests that failed or were refused. */
  readonly errorPercent: number;
}

function percentOf(part: number, whole: number): number {
  return part <= 0 || whole <= 0 ? 0 : Math.max(VISIBLE_PERCENT, (part / whole) * 100);
}

/** One column for each hour or day that has begun, also for those without a call. `rows` are by the same step. */
export function columnsOf({ from, to, rows }: Pick<Statistics, "from" | "to" | "rows">, step: "hour" | "day", now: Date): Column[] {
  const byStart = new Map<number, StatisticsRow>();
  for (const row of rows) if (row.group != null) byStart.set(Date.parse(row.group), row);
  const most = rows.reduce((top, row) => Math.max(top, row.requests), 0);
  const size = STEP_MS[step];
  const end = Math.min(Date.parse(to), now.getTime());
  const columns: Column[] = [];
  for (let at = Math.floor(Date.parse(from) / size) * size; at < end && columns.length < MAX_COLUMNS; at += size) {
    const row = byStart.get(at);
    const requests = row?.requests ?? 0;
    const errors = row?.errors ?? 0;
    columns.push({
      at, requests, errors,
      chargedNanos: BigInt(row?.charged_nanos ?? 0),
      percent: percentOf(requests, most),
      errorPercent: percentOf(errors, requests),
    });
  }
  return columns;
}

/** The duration in the unit in which people say it. */
export function durationParts(ms: number): { value: number; unit: "millisecond" | "second" | "minute"; digits: number } {
  if (ms < 1_000) return { value: ms, unit: "millisecond", digits: 0 };
  if (ms < 60_000) return { value: ms / 1_000, unit: "second", digits: ms < 10_000 ? 2 : 1 };
  return { value: ms / 60_000, unit: "minute", digits: 1 };
}
