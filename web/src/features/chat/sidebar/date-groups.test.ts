import { expect, test } from "vitest";
import { dateGroup, withHeadings } from "./date-groups";

const now = new Date(2026, 2, 15, 0, 30);

test("groups follow calendar days, not hours", () => {
  expect(dateGroup(new Date(2026, 2, 15, 0, 5).toISOString(), now)).toBe("today");
  expect(dateGroup(new Date(2026, 2, 14, 23, 55).toISOString(), now)).toBe("yesterday");
  expect(dateGroup(new Date(2026, 2, 9).toISOString(), now)).toBe("week");
  expect(dateGroup(new Date(2026, 1, 20).toISOString(), now)).toBe("month");
  expect(dateGroup(new Date(2025, 1, 20).toISOString(), now)).toBe("older");
});

test("each group has one heading and the order stays", () => {
  const items = [now, new Date(2026, 2, 15), new Date(2026, 2, 1)].map((date) => ({ updated_at: date.toISOString() }));
  expect(withHeadings(items, now).map((row) => (row.kind === "heading" ? row.group : "item"))).toEqual([
    "today",
    "item",
    "item",
    "month",
    "item",
  ]);
});
