import { http, HttpResponse } from "msw";
import { expect, test } from "vitest";
import type { Charge } from "@/api/types";
import { server } from "@/test/server";
import { chargesCsv, chargesOf } from "./csv";

function charge(at: string, change: Partial<Charge> = {}): Charge {
  return {
    hold_id: `h-${at}`,
    kind: "reply",
    model: "mock-1",
    tokens: { input: 10, cached_input: 2, output: 5, reasoning: 1, cache_write: 0, cache_write_hour: 0, audio_input: 0, image_input: 0, audio_output: 0, image_output: 0 },
    basis: "reported",
    prices: { input: "2.50", output: "10" },
    price_version: 1,
    charged_nanos: "12345",
    session_id: "s1",
    run_id: "r1",
    api_key_id: null,
    at,
    ...change,
  };
}

test("every charge is one line with its exact amount", () => {
  const [head, line, end] = chargesCsv([charge("2026-11-02T10:00:00Z")], "USD").split("\r\n");
  expect(head).toMatch(/^\uFEFFtime,kind,model,/);
  expect(line).toBe("2026-11-02T10:00:00Z,reply,mock-1,10,2,5,1,reported,2.50,10,1,0.000012345,USD,s1,,h-2026-11-02T10:00:00Z");
  expect(end).toBe("");
});

test("what looks like a formula or holds a comma stays text", () => {
  const csv = chargesCsv([charge("2026-11-02T10:00:00Z", { model: '=cmd("x"),1' })], "USD");
  expect(csv).toContain(`"'=cmd(""x""),1"`);
});

test("pages are asked for until the period is covered, and no further", async () => {
  const pages: Record<string, { items: Charge[]; next_cursor: string | null }> = {
    first: { items: [charge("2026-12-01T00:00:00Z"), charge("2026-11-30T23:59:59.9Z")], next_cursor: "second" },
    second: { items: [charge("2026-11-01T00:00:00Z"), charge("2026-10-31T23:59:59Z")], next_cursor: "third" },
  };
  const asked: string[] = [];
  server.use(
    http.get("*/api/v1/charges", ({ request }) => {
      const cursor = new URL(request.url).searchParams.get("cursor") ?? "first";
      asked.push(cursor);
      return HttpResponse.json(pages[cursor]);
    }),
    http.post("*/api/v1/auth/refresh", () => new HttpResponse(null, { status: 401 })),
  );
  const found = await chargesOf({ from: "2026-11-01", to: "2026-11-30" });
  expect(found.map((each) => each.at)).toEqual(["2026-11-30T23:59:59.9Z", "2026-11-01T00:00:00Z"]);
  expect(asked).toEqual(["first", "second"]);
});
