import fc from "fast-check";
import { expect, test } from "vitest";
import { countCodePoints, dropCodePoints } from "./codepoints";

test("a code point outside of the basic plane counts once", () => {
  expect(countCodePoints("a🌊潮")).toBe(3);
  expect(dropCodePoints("a🌊潮", 2)).toBe("潮");
});

test("counting and dropping agree with iteration over any text", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.nat(20), (text, count) => {
      const points = Array.from(text);
      expect(countCodePoints(text)).toBe(points.length);
      expect(dropCodePoints(text, count)).toBe(points.slice(count).join(""));
    }),
  );
});
