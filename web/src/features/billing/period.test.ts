import { expect, test } from "vitest";
import { daysOf, monthOf, presetOf, problemOfPeriod } from "./period";

const now = new Date("2026-03-31T23:30:00Z");

test("months have their own lengths, also over the turn of the year", () => {
  expect(monthOf(now)).toEqual({ from: "2026-03-01", to: "2026-03-31" });
  expect(monthOf(now, 1)).toEqual({ from: "2026-02-01", to: "2026-02-28" });
  expect(monthOf(new Date("2026-01-15T00:00:00Z"), 1)).toEqual({ from: "2025-12-01", to: "2025-12-31" });
});

test("a period of the address is recognised as the month that it is", () => {
  expect(presetOf({}, now)).toBe("thisMonth");
  expect(presetOf(monthOf(now), now)).toBe("thisMonth");
  expect(presetOf(monthOf(now, 1), now)).toBe("lastMonth");
  expect(presetOf({ from: "2026-02-02", to: "2026-02-28" }, now)).toBe("custom");
});

test("what the server would refuse is found before it is asked", () => {
  expect(problemOfPeriod({ from: "2026-01-01", to: "2026-01-01" })).toBeNull();
  expect(problemOfPeriod({ from: "2024-01-01", to: "2024-12-31" })).toBeNull();
  expect(problemOfPeriod({ from: "2025-01-01", to: "2026-01-02" })).toBe("tooLong");
  expect(problemOfPeriod({ from: "2026-01-02", to: "2026-01-01" })).toBe("backwards");
  expect(problemOfPeriod({ from: "", to: "2026-01-01" })).toBe("incomplete");
  expect(problemOfPeriod({ from: "2026-02-31", to: "2026-13-01" })).toBe("incomplete");
});

test("the days of a period are all that have begun", () => {
  expect(daysOf({ from: "2026-02-27", to: "2026-03-02" }, now)).toEqual(["2026-02-27", "2026-02-28", "2026-03-01", "2026-03-02"]);
  expect(daysOf({ from: "2026-03-30", to: "2026-04-30" }, now)).toEqual(["2026-03-30", "2026-03-31"]);
  expect(daysOf({ from: "2026-04-01", to: "2026-04-30" }, now)).toEqual([]);
});
