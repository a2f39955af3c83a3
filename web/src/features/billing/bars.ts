/** Heights of the bars of a period, and what they sum to. */
import type { Statement } from "@/api/types";
import { daysOf } from "./period";

export interface Bar {
  readonly date: string;
  readonly nanos: bigint;
  readonly calls: number;
  /** Of the highest bar, 0 to 100. What is not nothing is never drawn as nothing. */
  readonly percent: number;
}

const VISIBLE_PERCENT = 2;

function percentOf(nanos: bigint, most: bigint): number {
  if (nanos <= 0n || most === 0n) return 0;
  return Math.max(VISIBLE_PERCENT, Number((nanos * 10_000n) / most) / 100);
}

/** One bar for each day of the statement that has begun, also for days that cost nothing. */
export function barsOf(statement: Statement, now: Date): Bar[] {
  const byDate = new Map(statement.days.map((day) => [day.date, day]));
  const most = statement.days.reduce((top, day) => (BigInt(day.charged_nanos) > top ? BigInt(day.charged_nanos) : top), 0n);
  return daysOf(statement, now).map((date) => {
    const day = byDate.get(date);
    const nanos = BigInt(day?.charged_nanos ?? 0);
    return { date, nanos, calls: day?.calls ?? 0, percent: percentOf(nanos, most) };
  });
}
