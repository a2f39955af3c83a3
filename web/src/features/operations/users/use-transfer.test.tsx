import { http, HttpResponse } from "msw";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { act, renderHook } from "@testing-library/react";
import { server } from "@/test/server";
import type { Transfer } from "../writes";
import { useTransfer } from "./use-transfer";

const five: Transfer = { kind: "grants", amountNanos: "5000000000", reason: "welcome" };
const nine: Transfer = { kind: "grants", amountNanos: "9000000000", reason: "more" };
const answer = { id: "m", user_id: "u", amount_nanos: "5000000000", wallet: {} };

/** Every booking that reached the server: its key and its amount. */
let seen: [key: string | null, amount: string][] = [];

function serve(respond: (call: number) => Response): void {
  server.use(
    http.post("*/api/v1/admin/users/:id/grants", async ({ request }) => {
      const body = (await request.json()) as { amount_nanos: string };
      seen.push([request.headers.get("idempotency-key"), body.amount_nanos]);
      return respond(seen.length);
    }),
  );
}

const booked = (): Response => HttpResponse.json(answer, { status: 201 });
const broken = (): Response => HttpResponse.json({ status: 500, code: "internal_error", detail: "" }, { status: 500 });
const refused = (): Response => HttpResponse.json({ status: 422, code: "amount_too_large", detail: "" }, { status: 422 });

beforeEach(() => {
  seen = [];
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }).setTimerTickMode("nextTimerAsync");
});
afterEach(() => vi.useRealTimers());

test("a double click books once", async () => {
  serve(booked);
  const { result } = renderHook(() => useTransfer("double"));
  const answers = await act(() => Promise.all([result.current.send(five), result.current.send(five)]));
  expect(answers.map((each) => each?.id ?? null)).toEqual(["m", null]);
  expect(seen).toHaveLength(1);
});

test("a lost answer is asked for again under the same key, also by a dialog that was opened anew", async () => {
  serve((call) => (call <= 3 ? HttpResponse.error() : booked()));
  const first = renderHook(() => useTransfer("lost"));
  expect(await act(() => first.result.current.send(five))).toBeNull();
  expect(first.result.current.unsettled).toEqual(five);
  first.unmount();
  const second = renderHook(() => useTransfer("lost"));
  expect(second.result.current.unsettled).toEqual(five);
  expect(await act(() => second.result.current.send(five))).toMatchObject({ id: "m" });
  expect(second.result.current.unsettled).toBeNull();
  expect(new Set(seen.map(([key]) => key)).size).toBe(1);
});

test("while the outcome is unknown another amount cannot slip in", async () => {
  serve((call) => (call <= 3 ? broken() : booked()));
  const { result } = renderHook(() => useTransfer("changed"));
  await act(() => result.current.send(five));
  await act(() => result.current.send(nine));
  expect(new Set(seen.map(([, amount]) => amount))).toEqual(new Set(["5000000000"]));
  expect(new Set(seen.map(([key]) => key)).size).toBe(1);
});

test("after a refusal the next attempt is a new one; what is booked is not booked again from the same dialog", async () => {
  serve((call) => (call === 1 ? refused() : booked()));
  const { result } = renderHook(() => useTransfer("next"));
  await act(() => result.current.send(five));
  expect(result.current.failure?.code).toBe("amount_too_large");
  expect(result.current.unsettled).toBeNull();
  expect(await act(() => result.current.send(five))).toMatchObject({ id: "m" });
  expect(await act(() => result.current.send(five))).toBeNull();
  const next = renderHook(() => useTransfer("next"));
  await act(() => next.result.current.send(five));
  expect(seen).toHaveLength(3);
  expect(new Set(seen.map(([key]) => key)).size).toBe(3);
});

test("an unsettled booking can be given up", async () => {
  serve((call) => (call <= 3 ? HttpResponse.error() : booked()));
  const { result } = renderHook(() => useTransfer("given-up"));
  await act(() => result.current.send(five));
  act(() => result.current.forget());
  await act(() => result.current.send(nine));
  expect(seen.at(-1)?.[1]).toBe("9000000000");
  expect(seen.at(-1)?.[0]).not.toBe(seen[0]?.[0]);
});
