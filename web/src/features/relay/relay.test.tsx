/** The operator's pages about the relay as a person meets them, against a scripted server. */
import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { http, HttpResponse } from "msw";
import { toast } from "sonner";
import { beforeAll, beforeEach, expect, test, vi } from "vitest";
import { CHANNEL, openOperations } from "@/test/operations";
import { preparePages, refuse } from "@/test/page";
import { server } from "@/test/server";

// Whole pages on a busy machine.
vi.setConfig({ testTimeout: 20_000 });

beforeAll(() => preparePages("operations", "relay", "billing"));

beforeEach(() => {
  server.use(
    http.get("*/api/v1/admin/channels", () => HttpResponse.json({ items: [CHANNEL], next_cursor: null })),
    http.get("*/api/v1/admin/channels/health", () => HttpResponse.json({ items: [], next_cursor: null })),
    http.get("*/api/v1/admin/groups", () => HttpResponse.json({ items: [], next_cursor: null })),
  );
});

/** At once: character by character is slow, and nothing here depends on it. */
async function fill(field: HTMLElement, text: string): Promise<void> {
  await userEvent.clear(field);
  await userEvent.click(field);
  await userEvent.paste(text);
}

test("a complaint inside of a closed part opens it, and the field gets the focus", async () => {
  server.use(
    http.patch("*/api/v1/admin/channels/c1", () =>
      refuse(422, "invalid_price", { model: "fast" })),
  );
  openOperations("channels?channel=c1");
  const model = (await screen.findByText("fast")).closest("details");
  expect(model?.open).toBe(false);
  await userEvent.click(screen.getByText("Tags and note"));
  await fill(await screen.findByRole("textbox", { name: "Tags" }), "eu");
  await userEvent.click(screen.getByRole("button", { name: "Save" }));
  await waitFor(() => expect(model?.open).toBe(true));
  const prices = within(screen.getByRole("group", { name: "Prices per million tokens" }));
  await waitFor(() => expect(document.activeElement).toBe(prices.getByRole("textbox", { name: "Input" })));
});

test("a key goes and another comes, and only that is sent", async () => {
  const patches: unknown[] = [];
  server.use(
    http.patch("*/api/v1/admin/channels/c1", async ({ request }) => {
      patches.push(await request.json());
      return HttpResponse.json(CHANNEL);
    }),
  );
  openOperations("channels?channel=c1");
  await userEvent.click(await screen.findByRole("button", { name: "Remove the key …a1B2" }));
  await userEvent.click(screen.getByRole("button", { name: "Keep the key …a1B2" }));
  await fill(screen.getByRole("textbox", { name: "Add keys" }), "sk-new");
  await userEvent.click(screen.getByRole("button", { name: "Save" }));
  await waitFor(() => expect(patches).toEqual([{ keys: [{ keep: "k1" }, "sk-new"] }]));
});

test("a void key is told with its reason, and used again on request", async () => {
  const void_key = { name: "k1", hint: "a1B2", suspended: { code: "invalid_api_key", at: CHANNEL.created_at } };
  let resumed = 0;
  server.use(
    http.get("*/api/v1/admin/channels", () => HttpResponse.json({ items: [{ ...CHANNEL, keys: [void_key] }], next_cursor: null })),
    http.post("*/api/v1/admin/channels/c1/keys/k1/resume", () => {
      resumed += 1;
      return HttpResponse.json(CHANNEL);
    }),
  );
  openOperations("channels?channel=c1");
  await screen.findByText("void: invalid_api_key");
  await userEvent.click(screen.getByRole("button", { name: "Use the key …a1B2 again" }));
  await waitFor(() => expect(resumed).toBe(1));
});

test("an import is looked at first, and what was unticked stays", async () => {
  const asked: unknown[] = [];
  const other = { ...CHANNEL, id: "c2", name: "Other" };
  server.use(
    http.get("*/api/v1/admin/channels", () => HttpResponse.json({ items: [CHANNEL, other], next_cursor: null })),
    http.get("*/api/v1/admin/prices", () => HttpResponse.json({ source: "A list", url: null, licence: null, date: "2026-11-22", currency: "USD", models: [] })),
    http.post("*/api/v1/admin/prices/import", async ({ request }) => {
      asked.push(await request.json());
      const found = (channel_id: string) => ({ channel_id, model: "fast", costs: { input: "2", output: "5" }, prices: null });
      return HttpResponse.json({ source: "A list", models: [found("c1"), found("c2")], unknown: [] });
    }),
  );
  openOperations("models?view=import");
  await screen.findByText("2 models would change.");
  await userEvent.click(screen.getByRole("checkbox", { name: "Take over fast of Other" }));
  await userEvent.click(screen.getByRole("button", { name: "Apply to 1 model" }));
  await waitFor(() => expect(asked).toContainEqual({ channels: ["c1"], models: ["fast"] }));
  expect(asked[0]).toEqual({ dry_run: true });
  expect(asked.filter((body) => (body as { dry_run?: boolean }).dry_run !== true)).toHaveLength(1);
});

test("the default group is made when something is first said of it", async () => {
  const made: unknown[] = [];
  server.use(
    http.post("*/api/v1/admin/groups", async ({ request }) => {
      made.push(await request.json());
      return HttpResponse.json({ name: "default", title: "All", factor: "1.5", users: 1, created_at: CHANNEL.created_at, updated_at: CHANNEL.created_at }, { status: 201 });
    }),
  );
  openOperations("groups");
  await userEvent.click(await screen.findByRole("button", { name: "Change the group default" }));
  const dialog = within(await screen.findByRole("dialog"));
  await fill(dialog.getByRole("textbox", { name: "Title" }), "All");
  await fill(dialog.getByRole("textbox", { name: "Pays of every price" }), "1.50");
  await userEvent.click(dialog.getByRole("button", { name: "Save" }));
  await waitFor(() => expect(made).toEqual([{ name: "default", title: "All", factor: "1.5" }]));
});

test("a group goes after a question, and what still uses it is named", async () => {
  const group = (name: string, title: string, users: number) => ({ name, title, factor: "0.5", users, created_at: CHANNEL.created_at, updated_at: CHANNEL.created_at });
  let groups = [group("default", "All", 3), group("staff", "Staff", 0)];
  let refusal: object | null = { users: 0, channels: ["Main"] };
  server.use(
    http.get("*/api/v1/admin/groups", () => HttpResponse.json({ items: groups, next_cursor: null })),
    http.delete("*/api/v1/admin/groups/staff", () => {
      if (refusal !== null) return refuse(409, "group_in_use", refusal);
      groups = groups.slice(0, 1);
      return new HttpResponse(null, { status: 204 });
    }),
  );
  const errors = vi.spyOn(toast, "error").mockReturnValue("");
  openOperations("groups");
  const remove = async (): Promise<void> => {
    await userEvent.click(await screen.findByRole("button", { name: "Remove the group staff" }));
    await userEvent.click(within(await screen.findByRole("alertdialog")).getByRole("button", { name: "Remove" }));
  };
  await remove();
  await waitFor(() => expect(errors).toHaveBeenCalledWith("Staff stays: Main admits it. Take it out of the channel first."));
  refusal = null;
  await remove();
  await waitFor(() => expect(screen.queryByText("Staff")).toBeNull());
  expect(screen.queryByRole("button", { name: "Remove the group default" })).toBeNull();
});

test("what rests of a channel is told with its reason, but not again what is told of its keys", async () => {
  const keys = [{ name: "k1", hint: "a1B2", suspended: null }, { name: "k2", hint: "c3D4", suspended: { code: "invalid_api_key", at: CHANNEL.created_at } }];
  const ill = (part: string, name: string | null, state: string, more: object = {}) => ({
    channel_id: "c1", part, name, state, since: CHANNEL.created_at, until: null, cause: "timed_out", seen_here: true, times: 1, ...more,
  });
  const items = [
    ill("model", "fast-2026", "half_open", { seen_here: false }),
    ill("key", "k2", "dead", { cause: "invalid_api_key" }),
    ill("key", "k1", "open", { cause: "upstream_rate_limited", until: "2026-11-21T10:25:00Z", times: 3 }),
    { ...ill("channel", null, "open"), channel_id: "another" },
  ];
  server.use(
    http.get("*/api/v1/admin/channels", () => HttpResponse.json({ items: [{ ...CHANNEL, keys }], next_cursor: null })),
    http.get("*/api/v1/admin/channels/health", () => HttpResponse.json({ items, next_cursor: null })),
  );
  openOperations("channels");
  const told = within(await screen.findByRole("list", { name: "What rests of Main" })).getAllByRole("listitem");
  expect(told.map((item) => item.textContent)).toEqual([
    expect.stringMatching(/^restsKey …a1B2: upstream_rate_limiteduntil .* · not well since .* · 3 times in a row$/),
    expect.stringMatching(/^being triedfast-2026: timed_outnot well since .* · told by another node$/),
  ]);
});

test("a call tells who was asked in order, why each failed, and who was not asked", async () => {
  const one = (channel_id: string, outcome: string) => ({ channel_id, model: "fast", key: "k1", outcome, duration_ms: 12, spent: "nothing" });
  const call = {
    id: "0193a5c0-7e10-7abc-8def-0123456789ff", user_id: "u1", username: "ada", session_id: null, run_id: null, api_key_id: null, surface: "messages", model: "fast",
    answered_model: "fast", upstream_model: "fast-2026", channel_id: "c1", channel: "Main", stream: true, started_at: CHANNEL.created_at, ended_at: CHANNEL.created_at,
    duration_ms: 1500, first_output_ms: 300, outcome: "completed", code: null, tries: [one("c9", "timed_out"), one("c1", "ok")],
    left_out: [{ channel: "Spare", reason: "its circuit is open" }], tokens: null, basis: "reported", charged_nanos: "5", cost_nanos: "1",
  };
  server.use(
    http.get("*/api/v1/admin/calls", () => HttpResponse.json({ items: [call], next_cursor: null })),
    http.get("*/api/v1/admin/statistics", () => refuse(503, "database_unavailable")),
  );
  openOperations("statistics?view=calls");
  await userEvent.click(await screen.findByText("2 tries", { exact: false }));
  const tries = within(await screen.findByRole("list", { name: "Who was asked" })).getAllByRole("listitem");
  expect(tries.map((item) => item.textContent)).toEqual([expect.stringMatching(/1.*timed_out/), expect.stringMatching(/2Main · fast · …a1B2ok/)]);
  expect(screen.getByText("its circuit is open")).toBeTruthy();
});
