import { expect, test } from "vitest";
import type { StatisticsRow } from "@/features/operations/types";
import { columnsOf, durationParts, inputTokens, outputTokens } from "./figures";
import { canBeHourly, filterOf, periodOf, presetOf, searchOf, stepOf } from "./filter";

const noTokens = { input: 0, cached_input: 0, cache_write: 0, audio_input: 0, image_input: 0, output: 0, reasoning: 0, audio_output: 0, image_output: 0 };
const none = { p50_ms: null, p95_ms: null, p99_ms: null };

function row(group: string, requests: number, errors: number): StatisticsRow {
  return {
    group, name: null, requests, completed: requests - errors, cancelled: 0, errors, error_rate: errors / requests, errors_by_code: [],
    tries: requests, failed_tries: 0, failed_tries_by_code: [], tokens: noTokens, charged_nanos: "5", duration: none, first_output: none,
  };
}

test("an address and its filter say the same; what it cannot mean is left out", () => {
  const search = { from: "2026-11-01", to: "2026-11-07", by: "model", channel: "c1", outcome: "failed", code: "timed_out" };
  expect(searchOf(filterOf(search), "calls")).toEqual({ ...search, view: "calls" });
  expect(filterOf({ from: "yesterday", to: "today", by: "colour", outcome: "lost" })).toEqual({ period: null, by: "channel" });
  expect(searchOf(filterOf({}))).toEqual({});
});

test("periods are named, and long ones are neither drawn nor told by the hour", () => {
  const now = new Date("2026-11-22T13:00:00Z");
  for (const preset of ["day", "week", "thisMonth", "lastMonth"] as const) expect(presetOf(periodOf(preset, now), now)).toBe(preset);
  expect(periodOf("week", now)).toEqual({ from: "2026-11-16", to: "2026-11-22" });
  expect(presetOf({ from: "2026-11-02", to: "2026-11-03" }, now)).toBe("custom");
  expect([stepOf(null), stepOf({ from: "2026-11-01", to: "2026-11-03" }), stepOf({ from: "2026-11-01", to: "2026-11-04" })]).toEqual(["hour", "hour", "day"]);
  expect([canBeHourly({ from: "2026-10-01", to: "2026-10-31" }), canBeHourly({ from: "2026-10-01", to: "2026-11-01" })]).toEqual([true, false]);
});

test("every hour that has begun is a column, also those without a call", () => {
  const rows = [row("2026-11-22T11:00:00Z", 400, 100), row("2026-11-22T12:00:00Z", 1, 0)];
  const columns = columnsOf({ from: "2026-11-22T10:00:00Z", to: "2026-11-22T14:00:00Z", rows }, "hour", new Date("2026-11-22T12:30:00Z"));
  expect(columns.map(({ requests, percent, errorPercent }) => [requests, percent, errorPercent])).toEqual([[0, 0, 0], [400, 100, 25], [1, 2, 0]]);
  expect(columns[1]?.chargedNanos).toBe(5n);
});

test("all tiers of tokens are counted once, and durations are told in their own unit", () => {
  const tokens = { input: 1, cached_input: 2, cache_write: 3, audio_input: 4, image_input: 5, output: 6, reasoning: 7, audio_output: 8, image_output: 9 };
  expect([inputTokens(tokens), outputTokens(tokens), inputTokens(noTokens)]).toEqual([15, 30, 0]);
  expect([durationParts(999).unit, durationParts(1_500), durationParts(90_000)]).toEqual([
    "millisecond",
    { value: 1.5, unit: "second", digits: 2 },
    { value: 1.5, unit: "minute", digits: 1 },
  ]);
});
