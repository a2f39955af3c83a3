import { expect, test } from "vitest";
import { ApiError } from "@/api/problem";
import { checkMovement, fieldOf } from "./movement";

test("what is typed is booked to the nano", () => {
  expect(checkMovement("grants", "0.000000001", " welcome ")).toEqual({
    ok: true,
    transfer: { kind: "grants", amountNanos: "1", reason: "welcome" },
  });
  expect(checkMovement("top-ups", "1000000", "r")).toMatchObject({ ok: true, transfer: { amountNanos: "1000000000000000" } });
});

test("only an adjustment may take away, and nothing moves nothing", () => {
  expect(checkMovement("adjustments", "-2.5", "r")).toMatchObject({ ok: true, transfer: { amountNanos: "-2500000000" } });
  expect(checkMovement("grants", "-2.5", "r")).toEqual({ ok: false, problems: { amount: "not_positive" } });
  expect(checkMovement("top-ups", "0", "r")).toEqual({ ok: false, problems: { amount: "not_positive" } });
  expect(checkMovement("adjustments", "0.0", "r")).toEqual({ ok: false, problems: { amount: "zero" } });
});

test("amount and reason are both asked for", () => {
  expect(checkMovement("grants", "", " ")).toEqual({ ok: false, problems: { amount: "missing", reason: "reason_missing" } });
  expect(checkMovement("adjustments", "-1000000.000000001", "r")).toEqual({ ok: false, problems: { amount: "too_large" } });
});

test("a refusal stands at the field it is about", () => {
  const named = [{ field: "amount_nanos", code: "invalid_amount", message: "" }];
  expect(fieldOf(new ApiError(422, "invalid_amount", "", null, named))).toBe("amount");
  expect(fieldOf(new ApiError(422, "amount_too_large", "", null))).toBe("amount");
  expect(fieldOf(new ApiError(422, "reason_missing", "", null))).toBe("reason");
  expect(fieldOf(new ApiError(404, "user_not_found", "", null))).toBeNull();
});
