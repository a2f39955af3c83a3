import fc from "fast-check";
import { expect, test } from "vitest";
import { formatDecimal, marginPermille, parseDecimal } from "./decimal";

const nanos = (text: string): bigint | string => {
  const parsed = parseDecimal(text);
  return parsed.ok ? parsed.nanos : parsed.problem;
};

test("amounts that floating point cannot hold are read exactly", () => {
  expect(nanos("0.1")).toBe(100_000_000n);
  expect(nanos("0.000000001")).toBe(1n);
  expect(nanos("9007199.254740993")).toBe(9_007_199_254_740_993n);
  expect(nanos("9223372036.854775807")).toBe(2n ** 63n - 1n);
});

test("every way to write a plain decimal is taken", () => {
  expect([nanos("12"), nanos(" 12.50 "), nanos(".5"), nanos("5."), nanos("-3"), nanos("−3"), nanos("+3")]).toEqual([
    12_000_000_000n,
    12_500_000_000n,
    500_000_000n,
    5_000_000_000n,
    -3_000_000_000n,
    -3_000_000_000n,
    3_000_000_000n,
  ]);
});

test("full-width digits of an input method are taken", () => {
  expect([nanos("１２．５"), nanos("1。5")]).toEqual([12_500_000_000n, 1_500_000_000n]);
});

test("what could mean two things, or nothing, is refused", () => {
  for (const text of ["1,50", "1.2.3", "1e3", "0x10", "abc", "-", ".", "1 000", "--1", "Infinity", "NaN"]) {
    expect([text, nanos(text)]).toEqual([text, "not_a_number"]);
  }
  expect(nanos("  ")).toBe("missing");
});

test("more than nine places are refused, never rounded; zeros at the end do not count", () => {
  expect(nanos("0.0000000001")).toBe("too_many_places");
  expect(nanos("0.1000000000000")).toBe(100_000_000n);
});

test("more than the server can count is refused", () => {
  expect(nanos("9223372036.854775808")).toBe("too_large");
  expect(nanos("9".repeat(60))).toBe("too_large");
});

test("writing and reading again gives the same amount", () => {
  fc.assert(
    fc.property(fc.bigInt(-(2n ** 63n - 1n), 2n ** 63n - 1n), fc.integer({ min: 0, max: 9 }), (amount, places) => {
      expect(nanos(formatDecimal(amount, places))).toBe(amount);
    }),
  );
});

test("an amount is written with at least two places and no needless zeros", () => {
  expect([2_500_000_000n, 1n, -30_000_000_000n, 1_234_500_000n].map((each) => formatDecimal(each))).toEqual([
    "2.50",
    "0.000000001",
    "-30.00",
    "1.2345",
  ]);
});

test("the margin is a share of the price and says when we lose", () => {
  expect([marginPermille("2.50", "1.25"), marginPermille("1", "1.5"), marginPermille("3", "2")]).toEqual([500, -500, 333]);
  expect([marginPermille("0", "1"), marginPermille("", "1")]).toEqual([null, null]);
});
