import fc from "fast-check";
import { expect, test } from "vitest";
import { formatNanos, splitExact } from "./money";

const usd = (nanos: string | bigint): string => formatNanos(nanos, "USD", "en");
const exact = (nanos: string | bigint): string => formatNanos(nanos, "USD", "en", "exact");

test("whole amounts have two digits after the point", () => {
  expect([usd("0"), usd("1000000000"), usd("12345670000000")]).toEqual(["$0.00", "$1.00", "$12,345.67"]);
});

test("what is small does not read as nothing", () => {
  expect(usd("1")).toBe("$0.000000001");
  expect(usd("12000")).toBe("$0.000012");
  expect(usd("12345")).toBe("$0.000012");
  expect(usd("3400000")).toBe("$0.0034");
  expect(usd("250000000")).toBe("$0.25");
  expect(usd("999999999")).toBe("$1.00");
});

test("debts and charges keep their sign", () => {
  expect([usd("-1"), usd("-2500000000")]).toEqual(["-$0.000000001", "-$2.50"]);
});

test("millions are compact where the amount is to be grasped, and whole where it is to be checked", () => {
  expect(usd("1234567000000000")).toBe("$1.23M");
  expect(formatNanos("1234567000000000", "USD", "zh-CN")).toBe("$123.46万");
  expect(exact("1234567000000000")).toBe("$1,234,567.00");
});

test("what is left is never shown as more than it is", () => {
  const floor = (nanos: string): string => formatNanos(nanos, "USD", "en", "floor");
  expect([floor("999999999"), floor("1999999999"), floor("129999")]).toEqual(["$0.99", "$1.99", "$0.00012"]);
});

test("an exact amount is cut behind its usual digits, and both pieces together are the whole", () => {
  expect(splitExact("998967500", "USD", "en")).toEqual(["$0.99", "89675"]);
  expect(splitExact("227512", "USD", "en")).toEqual(["$0.00022", "7512"]);
  expect(splitExact("1000000000", "USD", "zh-CN")).toEqual(["$1.00", ""]);
  expect(splitExact("-1500000001", "EUR", "de")).toEqual(["-1,50", "0000001\u00A0€"]);
});

test("an exact amount has every digit, beyond what a float can hold", () => {
  expect(exact("9007199254740993000000001")).toBe("$9,007,199,254,740,993.000000001");
  expect(exact("1230000000")).toBe("$1.23");
  expect(exact("-1")).toBe("-$0.000000001");
});

test("other currencies and languages are written their way", () => {
  expect(formatNanos("1500000000", "CNY", "zh-CN")).toBe("¥1.50");
  expect(formatNanos("1500000000", "EUR", "de")).toBe("1,50\u00A0€");
});

test("reading the exact form gives the amount again, whatever it is", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (nanos) => {
      const [whole = "", fraction = ""] = exact(nanos).replace(/[^\d.]/g, "").split(".");
      const size = BigInt(whole + fraction.padEnd(9, "0"));
      expect(exact(nanos).startsWith("-") ? -size : size).toBe(nanos);
    }),
  );
});

test("no amount over zero is ever shown as zero", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 1n, max: 10n ** 12n }), (nanos) => {
      expect(usd(nanos)).toMatch(/[1-9]/);
    }),
  );
});
