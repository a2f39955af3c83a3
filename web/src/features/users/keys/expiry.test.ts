import { expect, test } from "vitest";
import { expiryMoment } from "./expiry";

const now = new Date("2026-11-22T10:00:00Z");

test("a key ends after some days, or never", () => {
  expect(expiryMoment("never", "", now)).toBeUndefined();
  expect(expiryMoment("month", "", now)).toBe("2026-12-22T10:00:00.000Z");
  expect(expiryMoment("year", "", now)).toBe("2027-11-22T10:00:00.000Z");
});

test("a day of one's own is used to its end; one that is over, or none, is refused", () => {
  expect(expiryMoment("date", "2026-12-01", now)).toBe(new Date("2026-12-01T23:59:59").toISOString());
  expect(expiryMoment("date", "2026-11-20", now)).toBeNull();
  expect(expiryMoment("date", "", now)).toBeNull();
});
