import { expect, test } from "vitest";
import type { Statement } from "@/api/types";
import { barsOf } from "./bars";

const statement: Statement = {
  from: "2026-11-01",
  to: "2026-11-30",
  currency: "USD",
  opening_nanos: "0",
  closing_nanos: "0",
  granted_nanos: "0",
  topped_up_nanos: "0",
  adjusted_nanos: "0",
  charged_nanos: "0",
  days: [
    { date: "2026-11-01", charged_nanos: "9007199254740993000", calls: 3 },
    { date: "2026-11-03", charged_nanos: "1", calls: 1 },
  ],
  models: [],
  api_keys: [],
};

test("days without a charge have their place, days to come have none", () => {
  const bars = barsOf(statement, new Date("2026-11-04T05:00:00Z"));
  expect(bars.map((bar) => [bar.date, bar.percent])).toEqual([
    ["2026-11-01", 100],
    ["2026-11-02", 0],
    ["2026-11-03", 2],
    ["2026-11-04", 0],
  ]);
});

test("a period without charges has no heights to divide by", () => {
  expect(barsOf({ ...statement, days: [] }, new Date("2026-11-01T05:00:00Z"))).toEqual([{ date: "2026-11-01", nanos: 0n, calls: 0, percent: 0 }]);
});
