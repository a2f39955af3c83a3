/** One's own usage as a person meets it, against a scripted server. */
import { screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { http, HttpResponse } from "msw";
import { beforeAll, expect, test, vi } from "vitest";
import { openPage, preparePages, refuse } from "@/test/page";
import { server } from "@/test/server";
import { searchOfUsage, usageFilter } from "./filter";
import { usageSearch } from "./search";
import { UsagePage } from "./UsagePage";

// Whole pages on a busy machine.
vi.setConfig({ testTimeout: 20_000 });

beforeAll(() => preparePages("relay", "billing"));

const none = { p50_ms: null, p95_ms: null, p99_ms: null };
const tokens = { input: 1200, cached_input: 300, cache_write: 0, audio_input: 0, image_input: 0, output: 80, reasoning: 20, audio_output: 0, image_output: 0 };

function figures(requests: number, charged_nanos: string) {
  return {
    requests, completed: requests, cancelled: 0, errors: 0, error_rate: 0, errors_by_code: [], tries: requests, failed_tries: 0, failed_tries_by_code: [],
    tokens, charged_nanos, cost_nanos: null, lost_cost_nanos: null, unknown_cost_tries: null, duration: { ...none, p50_ms: 1500 }, first_output: none,
  };
}

/** Answers as the server does, and remembers what it was asked. */
function counted(requests: number): URLSearchParams[] {
  const asked: URLSearchParams[] = [];
  server.use(
    http.get("*/api/v1/statistics", ({ request }) => {
      const query = new URL(request.url).searchParams;
      asked.push(query);
      const by = query.get("group_by") ?? "model";
      const group = { model: "fast", key: "k1", hour: "2026-11-22T10:00:00Z", day: "2026-11-22T00:00:00Z" }[by];
      const rows = requests === 0 ? [] : [{ ...figures(requests, "12"), group, name: by === "key" ? "Laptop" : null }];
      const total = figures(requests, requests === 0 ? "0" : "12");
      return HttpResponse.json({ from: "2026-11-22T10:00:00Z", to: "2026-11-22T12:00:00Z", group_by: by, currency: "USD", total, rows, truncated: false });
    }),
  );
  return asked;
}

test("requests, tokens and what they cost are told, and nothing of what the house pays", async () => {
  counted(4);
  openPage(UsagePage, "/usage");
  const row = await screen.findByRole("row", { name: /^fast/ });
  expect(row.textContent).toContain("1,500 / 100");
  expect(row.textContent).toContain("$0.000000012");
  expect(screen.getByText("$0.000000003 a request")).toBeTruthy();
  expect(within(screen.getByRole("table", { name: "Figures by row" })).queryByRole("columnheader", { name: "Cost" })).toBeNull();
  expect(screen.queryByRole("button", { name: "Channel" })).toBeNull();
});

test("a key on its own is told day by day, and let go again", async () => {
  const asked = counted(4);
  openPage(UsagePage, "/usage");
  await userEvent.click(await screen.findByRole("button", { name: "API key" }));
  await userEvent.click(await screen.findByRole("link", { name: "Laptop" }));
  const chip = await screen.findByRole("button", { name: /^Do not narrow to API key/ });
  expect(asked.at(-1)?.get("key")).toBe("k1");
  expect(asked.map((query) => query.get("group_by"))).toContain("day");
  await userEvent.click(chip);
  expect(screen.queryByRole("button", { name: /^Do not narrow/ })).toBeNull();
});

test("a period without a request says how one comes to some", async () => {
  counted(0);
  openPage(UsagePage, "/usage");
  await screen.findByText("No requests in this period");
  expect(screen.getByRole("link", { name: "Ask something" }).getAttribute("href")).toBe("/");
});

test("figures that cannot be had say so, and are asked for again", async () => {
  server.use(http.get("*/api/v1/statistics", () => refuse(503, "database_unavailable")));
  openPage(UsagePage, "/usage");
  await screen.findByRole("alert");
  counted(1);
  await userEvent.click(screen.getByRole("button", { name: "Try again" }));
  expect((await screen.findByRole("row", { name: /^fast/ })).textContent).toContain("$0.000000012");
});

test("an address and what is shown say the same; what only operators may ask for is left out", () => {
  const search = { from: "2026-11-01", to: "2026-11-07", by: "key", model: "fast" };
  expect(searchOfUsage(usageFilter(usageSearch(search)))).toEqual(search);
  expect(usageSearch({ key: 12, channel: "c1", user: "u1", from: "" })).toEqual({ key: "12" });
  expect(usageFilter({ by: "channel" }).by).toBe("model");
  expect(searchOfUsage(usageFilter({}))).toEqual({});
});
