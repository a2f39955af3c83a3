import { expect, test } from "vitest";
import { emptyLong, fallbackOf, finerCount, NO_RATES, ratesDraft, ratesOf, ratesProblems, sameRates } from "./rates";

test("every rate of the server is in the form and goes back as it was", () => {
  const rates = {
    input: "2.50", output: "10.00", cached_input: "0.25", cache_write: "3.00", cache_write_hour: "5.00", reasoning: "12.00", image_input: "1.00", image_output: "40.00",
    audio_input: "6.00", audio_output: "12.00", per_request: "0.01", long: [{ above_input_tokens: 200_000, rates: { input: "5.00", output: "15.00", cached_input: "0.50" } }],
  };
  expect(ratesOf(ratesDraft(rates))).toEqual(rates);
  expect(finerCount(ratesDraft(rates))).toBe(10);
});

test("an empty field costs what it falls back to, and nothing is sent of it", () => {
  expect(ratesOf({ ...NO_RATES, input: "1" })).toEqual({ input: "1.00", output: "0.00" });
});

test("the field of a tier shows what it costs while it is empty, over more than one step", () => {
  const draft = { ...NO_RATES, input: "2" };
  expect([fallbackOf(draft, "cache_write_hour"), fallbackOf({ ...draft, cache_write: "3" }, "cache_write_hour"), fallbackOf(draft, "output")]).toEqual(["2", "3", ""]);
});

test("lists for long inputs are sent in the order of their thresholds", () => {
  const long = [{ ...emptyLong(), above: "500000", input: "3", output: "4" }, { ...emptyLong(), above: "２００", input: "1", output: "2" }];
  expect(ratesOf({ ...NO_RATES, long }).long?.map((list) => list.above_input_tokens)).toEqual([200, 500_000]);
});

test("what differs in writing alone costs the same", () => {
  expect(sameRates({ input: "1", output: "2.50" }, { input: "1.000", output: "2.5" })).toBe(true);
  expect(sameRates({ input: "1", output: "2" }, { input: "1", output: "2", reasoning: "2" })).toBe(false);
  const long = (input: string) => ({ input: "1", output: "2", long: [{ above_input_tokens: 5, rates: { input, output: "1" } }] });
  expect(sameRates(long("1"), long("1.0"))).toBe(true);
  expect(sameRates(long("1"), long("2"))).toBe(false);
});

test("what cannot be sent is named by its place", () => {
  const long = [{ ...emptyLong(), above: "1", input: "1", output: "x" }, { ...emptyLong(), above: "1", input: "1", output: "1" }, emptyLong()];
  expect(ratesProblems({ ...NO_RATES, input: "-1", per_image: "9999999", long }, true)).toEqual({
    input: "negative",
    output: "missing",
    per_image: "too_large",
    "long.0.output": "not_a_number",
    "long.1.above": "taken_twice",
    "long.2.above": "missing",
    "long.2.input": "missing",
    "long.2.output": "missing",
  });
});
