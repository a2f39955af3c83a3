import { expect, test } from "vitest";
import { movementsOf } from "./movements";

function entry(position: number, line: number, amount_nanos: string) {
  return { position, line, amount_nanos };
}

test("lines that were booked together are one movement, in their order, also across pages", () => {
  const movements = movementsOf([entry(9, 1, "-5"), entry(9, 0, "5"), entry(7, 1, "-3"), entry(7, 1, "-3"), entry(7, 0, "3")]);
  expect(movements.map(({ position, lines }) => [position, lines.map((line) => line.amount_nanos)])).toEqual([
    [9, ["5", "-5"]],
    [7, ["3", "-3"]],
  ]);
});
