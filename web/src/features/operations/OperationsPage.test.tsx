/** The operator's pages as a person meets them, against a scripted server. */
import { focusManager } from "@tanstack/react-query";
import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { http, HttpResponse } from "msw";
import { beforeAll, beforeEach, expect, test, vi } from "vitest";
import { CHANNEL, OPERATOR_ID, openOperations } from "@/test/operations";
import { preparePages } from "@/test/page";
import { server } from "@/test/server";
import type { Channel, LoggedEvent, Account } from "./types";

const at = "2026-11-21T10:20:30Z";
const USER_ID = OPERATOR_ID;

const [known] = CHANNEL.models;
if (known === undefined) throw new Error("a channel has a model");
const channel: Channel = { ...CHANNEL, enabled: false, models: [{ ...known, upstream: "fast" }] };

const nothing = "0";
const user: Account = {
  id: USER_ID,
  email: "ada@example.org",
  username: "ada",
  role: "user",
  group: "default",
  created_at: at,
  wallet: {
    available_nanos: "1000000001",
    held_nanos: nothing,
    balance_nanos: "1000000001",
    granted_nanos: "1000000001",
    paid_nanos: nothing,
    debt_nanos: nothing,
    currency: "USD",
  },
};

/** At once: character by character is slow, and nothing here depends on it. */
async function fill(field: HTMLElement, text: string): Promise<void> {
  await userEvent.click(field);
  await userEvent.paste(text);
}

const refuse = (status: number, code: string, more: object = {}): Response =>
  HttpResponse.json({ status, code, title: "", detail: `server: ${code}`, request_id: "r", ...more }, { status });

// Whole pages on a busy machine.
vi.setConfig({ testTimeout: 20_000 });

beforeAll(() => preparePages("operations", "relay"));

beforeEach(() => {
  server.use(
    http.get("*/api/v1/admin/channels", () => HttpResponse.json({ items: [channel], next_cursor: null })),
    http.get("*/api/v1/admin/channels/health", () => HttpResponse.json({ items: [], next_cursor: null })),
    http.get("*/api/v1/admin/groups", () => HttpResponse.json({ items: [], next_cursor: null })),
  );
});

test("whoever is no operator finds nothing here, and nothing is asked of the server", async () => {
  openOperations("channels", "user");
  expect(await screen.findByRole("heading", { name: "Nothing here" })).toBeTruthy();
});

test("a section that does not exist is not found", async () => {
  openOperations("secrets");
  expect(await screen.findByRole("heading", { name: "Nothing here" })).toBeTruthy();
});

test("what is missing is told beside its field, and the first one gets the focus", async () => {
  openOperations("channels?channel=new");
  await userEvent.click(await screen.findByRole("button", { name: "Add channel" }));
  const name = screen.getAllByRole("textbox", { name: "Name" })[0];
  expect(name?.getAttribute("aria-invalid")).toBe("true");
  await waitFor(() => expect(document.activeElement).toBe(name));
  const prices = within(screen.getByRole("group", { name: "Prices per million tokens" }));
  expect(prices.getByRole("textbox", { name: "Input" }).getAttribute("aria-invalid")).toBe("true");
});

test("what the server refuses stands at its field; the corrected channel is sent as it was typed", async () => {
  const bodies: unknown[] = [];
  server.use(
    http.post("*/api/v1/admin/channels", async ({ request }) => {
      bodies.push(await request.json());
      if (bodies.length > 1) return HttpResponse.json(channel, { status: 201 });
      return refuse(422, "address_not_allowed", { errors: [{ field: "base_url", code: "address_not_allowed", message: "no" }] });
    }),
  );
  openOperations("channels?channel=new");
  await fill((await screen.findAllByRole("textbox", { name: "Name" }))[0] as HTMLElement, "Mine");
  const address = screen.getByRole("textbox", { name: "Base URL" });
  await fill(address, "http://169.254.169.254/v1");
  await fill(screen.getByRole("textbox", { name: "Keys" }), "sk-1");
  await fill(screen.getAllByRole("textbox", { name: "Name" })[1] as HTMLElement, "fast");
  const costs = within(screen.getByRole("group", { name: "Costs per million tokens" }));
  await fill(costs.getByRole("textbox", { name: "Input" }), "0.1");
  await fill(costs.getByRole("textbox", { name: "Output" }), "0.3");
  await userEvent.click(screen.getByRole("button", { name: "Use costs as prices" }));
  await userEvent.click(screen.getByRole("button", { name: "Add channel" }));
  await waitFor(() => expect(address.getAttribute("aria-invalid")).toBe("true"));
  expect(screen.getByText(/does not call that address/)).toBeTruthy();
  await userEvent.clear(address);
  await fill(address, "https://api.example.org/v1");
  await userEvent.click(screen.getByRole("button", { name: "Add channel" }));
  expect(await screen.findByRole("link", { name: "Add a channel" })).toBeTruthy();
  expect(bodies[1]).toEqual({
    name: "Mine",
    provider: "openai",
    base_url: "https://api.example.org/v1",
    keys: ["sk-1"],
    models: [{ name: "fast" }],
    prices: { fast: { input: "0.10", output: "0.30" } },
    costs: { fast: { input: "0.10", output: "0.30" } },
    enabled: false,
  });
});

test("a test call says how long it took and what came back, or why nothing did", async () => {
  const results = [
    { ok: true, model: "fast", latency_ms: 1412, reply: "Hello there.", error: null },
    { ok: false, model: "fast", latency_ms: 30_001, reply: null, error: { code: "timed_out", message: "no answer within 30s" } },
  ];
  server.use(http.post("*/api/v1/admin/channels/c1/test", () => HttpResponse.json(results.shift())));
  openOperations("channels");
  const button = await screen.findByRole("button", { name: "Test call through Main" });
  await userEvent.click(button);
  expect(await screen.findByText("fast answered in 1,412 ms")).toBeTruthy();
  expect(screen.getByText("Hello there.")).toBeTruthy();
  await userEvent.click(button);
  expect(await screen.findByText("fast gave no answer (30,001 ms)")).toBeTruthy();
  expect(screen.getByText("no answer within 30s")).toBeTruthy();
});

test("a price is changed in place; what did not change is not sent", async () => {
  const patches: unknown[] = [];
  server.use(
    http.post("*/api/v1/admin/channels/c1/prices", async ({ request }) => {
      patches.push(await request.json());
      return HttpResponse.json(channel);
    }),
  );
  openOperations("models");
  await userEvent.click(await screen.findByRole("button", { name: "Change prices of fast" }));
  const output = within(screen.getByRole("group", { name: "Prices per million tokens" })).getByRole("textbox", { name: "Output" });
  await userEvent.clear(output);
  await fill(output, "1,5");
  await userEvent.click(screen.getByRole("button", { name: "Save" }));
  expect(output.getAttribute("aria-invalid")).toBe("true");
  await userEvent.clear(output);
  await fill(output, "12");
  await userEvent.click(screen.getByRole("button", { name: "Save" }));
  await waitFor(() => expect(patches).toEqual([{ prices: [{ model: "fast", prices: { input: "2.50", output: "12.00" } }] }]));
});

function serveUser(): void {
  server.use(
    http.get("*/api/v1/admin/users/:id", () => HttpResponse.json(user)),
    http.get("*/api/v1/admin/users/:id/ledger", () => HttpResponse.json({ items: [], next_cursor: null })),
  );
}

test("a double click on the button grants once, to the nano", async () => {
  serveUser();
  const sent: unknown[] = [];
  server.use(
    http.post("*/api/v1/admin/users/:id/grants", async ({ request }) => {
      sent.push(await request.json());
      return HttpResponse.json({ id: "m", user_id: USER_ID, amount_nanos: "1", wallet: user.wallet }, { status: 201 });
    }),
  );
  openOperations(`users?user=${USER_ID}`);
  await userEvent.click(await screen.findByRole("button", { name: "Grant credit" }));
  const dialog = within(await screen.findByRole("dialog"));
  await fill(dialog.getByRole("textbox", { name: "Amount in USD" }), "0.000000001");
  await fill(dialog.getByRole("textbox", { name: "Reason" }), "a nano");
  await userEvent.dblClick(dialog.getByRole("button", { name: "Grant" }));
  await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
  expect(sent).toEqual([{ amount_nanos: "1", reason: "a nano" }]);
});

test("an amount that cannot be booked is told before anything is sent, the server's limit after", async () => {
  serveUser();
  server.use(http.post("*/api/v1/admin/users/:id/grants", () => refuse(422, "amount_too_large")));
  openOperations(`users?user=${USER_ID}`);
  await userEvent.click(await screen.findByRole("button", { name: "Grant credit" }));
  const dialog = within(await screen.findByRole("dialog"));
  const amount = dialog.getByRole("textbox", { name: "Amount in USD" });
  await fill(amount, "-5");
  await userEvent.click(dialog.getByRole("button", { name: "Grant" }));
  expect(dialog.getByText("More than zero.")).toBeTruthy();
  expect(dialog.getByText("Say why: it stays in the books.")).toBeTruthy();
  await userEvent.clear(amount);
  await fill(amount, "999999");
  await fill(dialog.getByRole("textbox", { name: "Reason" }), "much");
  await userEvent.click(dialog.getByRole("button", { name: "Grant" }));
  expect(await dialog.findByText("At most a million at once.")).toBeTruthy();
  expect(amount.getAttribute("aria-invalid")).toBe("true");
});

function event(position: number): Omit<LoggedEvent, "payload"> & { payload: object } {
  return {
    position,
    aggregate_type: "session",
    aggregate_id: USER_ID,
    sequence: 1,
    event_type: "session.message_sent",
    event_version: "1",
    recorded_at: at,
    actor: null,
    command_id: null,
    payload: { content: { $sealed: { subject: USER_ID } }, count: 2 },
  };
}

test("sealed fields stay closed, and the log goes on where the server says", async () => {
  const queries: string[] = [];
  server.use(
    http.get("*/api/v1/admin/events", ({ request }) => {
      const query = new URL(request.url).searchParams;
      queries.push(`${query.get("aggregate_type") ?? ""} ${query.get("cursor") ?? ""}`);
      return HttpResponse.json(query.has("cursor") ? { items: [event(3)], next_cursor: null } : { items: [event(9)], next_cursor: "7" });
    }),
  );
  openOperations("events?type=session");
  await userEvent.click(await screen.findByText("session.message_sent"));
  const payload = await screen.findByRole("group", { name: "Payload" });
  expect(payload.textContent).toBe('{\n  "content": sealed,\n  "count": 2\n}');
  await userEvent.click(screen.getByRole("button", { name: "Show more" }));
  await waitFor(() => expect(screen.getAllByText("session.message_sent")).toHaveLength(2));
  expect(queries).toEqual(["session ", "session 7"]);
});

test("leaving a form that was typed in asks first", async () => {
  const asked = vi.fn<(text?: string) => boolean>(() => false);
  vi.stubGlobal("confirm", asked);
  openOperations("channels?channel=new");
  await fill((await screen.findAllByRole("textbox", { name: "Name" }))[0] as HTMLElement, "Mine");
  await userEvent.click(screen.getByRole("link", { name: "Models" }));
  await waitFor(() => expect(asked).toHaveBeenCalledTimes(1));
  expect(screen.getByRole("button", { name: "Add channel" })).toBeTruthy();
  asked.mockReturnValue(true);
  await userEvent.click(screen.getByRole("link", { name: "Models" }));
  expect(await screen.findByRole("table")).toBeTruthy();
});

test("projections refresh by themselves, but not in a tab that nobody sees", async () => {
  let asked = 0;
  server.use(
    http.get("*/api/v1/admin/projections", () => {
      asked += 1;
      const item = { name: "chat_v1", position: 4, lag: asked === 1 ? 3 : 0, parked: 0, last_error: null };
      return HttpResponse.json({ items: [item], last_position: 7 });
    }),
  );
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"], shouldAdvanceTime: true });
  try {
    openOperations("projections");
    expect(await screen.findByText("catching up")).toBeTruthy();
    await vi.advanceTimersByTimeAsync(3_100);
    expect(await screen.findByText("up to date")).toBeTruthy();
    focusManager.setFocused(false);
    const before = asked;
    await vi.advanceTimersByTimeAsync(30_000);
    expect(asked).toBe(before);
    focusManager.setFocused(true);
    await vi.advanceTimersByTimeAsync(3_100);
    expect(asked).toBeGreaterThan(before);
  } finally {
    focusManager.setFocused(undefined);
    vi.useRealTimers();
  }
});
