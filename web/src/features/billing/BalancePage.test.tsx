/** The balance as a person meets it, against a scripted server. */
import { screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { http, HttpResponse } from "msw";
import { beforeAll, beforeEach, expect, test } from "vitest";
import type { Charge, Wallet } from "@/api/types";
import { openPage, preparePages, refuse } from "@/test/page";
import { server } from "@/test/server";
import { BalancePage } from "./BalancePage";

const wallet: Wallet = {
  available_nanos: "958987500",
  held_nanos: "40980000",
  balance_nanos: "999967500",
  granted_nanos: "999967500",
  paid_nanos: "0",
  debt_nanos: "0",
  currency: "USD",
};

const statement = {
  from: "2026-11-01",
  to: "2026-11-30",
  currency: "USD",
  opening_nanos: "0",
  closing_nanos: "999967500",
  granted_nanos: "1000000000",
  topped_up_nanos: "0",
  adjusted_nanos: "0",
  charged_nanos: "32500",
  days: [],
  models: [],
  api_keys: [],
};

const charge: Charge = {
  hold_id: "h1",
  kind: "reply",
  model: "fast",
  tokens: { input: 1200, cached_input: 300, output: 80, reasoning: 0, cache_write: 0, cache_write_hour: 0, audio_input: 0, image_input: 0, audio_output: 0, image_output: 0 },
  basis: "estimated",
  prices: { input: "2.50", output: "10" },
  price_version: 1,
  charged_nanos: "12345",
  session_id: "s1",
  run_id: "r1",
  api_key_id: null,
  at: "2026-11-22T10:00:00Z",
};

const page = (items: unknown[]): Response => HttpResponse.json({ items, next_cursor: null });

beforeAll(() => preparePages("billing"));

beforeEach(() => {
  server.use(
    http.get("*/api/v1/wallet", () => HttpResponse.json(wallet)),
    http.get("*/api/v1/wallet/statement", () => HttpResponse.json(statement)),
    http.get("*/api/v1/charges", () => page([])),
    http.get("*/api/v1/ledger/entries", () => page([])),
  );
});

test("what can be spent and what is reserved stand apart, to the last digit", async () => {
  openPage(BalancePage, "/balance");
  expect((await screen.findByTestId("available")).textContent).toBe("$0.9589875");
  expect(screen.getByText("Reserved for answers in progress").parentElement?.textContent).toContain("$0.04098");
  expect(screen.queryByText("Debt")).toBeNull();
  expect(screen.queryByText(/running low/)).toBeNull();
});

test("debt and a balance that runs low are said, and only then", async () => {
  server.use(http.get("*/api/v1/wallet", () => HttpResponse.json({ ...wallet, available_nanos: "-1", balance_nanos: "-1", granted_nanos: "0", debt_nanos: "1" })));
  openPage(BalancePage, "/balance");
  expect((await screen.findByTestId("available")).textContent).toBe("-$0.000000001");
  expect(screen.getByText("Debt")).toBeTruthy();
  expect(screen.getByText(/running low/)).toBeTruthy();
});

test("a charge tells its tokens by tier and leads to its conversation", async () => {
  server.use(http.get("*/api/v1/charges", () => page([charge])));
  openPage(BalancePage, "/balance");
  const row = within((await screen.findByTestId("charges")).querySelector("li") as HTMLElement);
  expect(row.getByText("1,200 in · 300 in from the cache · 80 out · estimated")).toBeTruthy();
  expect(row.getByText("$0.000012345")).toBeTruthy();
  expect(row.getByRole("link", { name: "Open the conversation" }).getAttribute("href")).toBe("/c/s1");
});

test("the ledger shows both sides, also of accounts that this page has no name for", async () => {
  const line = { position: 7, kind: "charge", hold_id: "h1", model: "fast", reason: null, at: "2026-11-22T10:00:00Z" };
  server.use(
    http.get("*/api/v1/ledger/entries", () =>
      page([{ ...line, line: 1, account: "granted", amount_nanos: "-5" }, { ...line, line: 2, account: "lottery", amount_nanos: "5" }]),
    ),
  );
  openPage(BalancePage, "/balance");
  await userEvent.click(await screen.findByRole("tab", { name: "Ledger" }));
  const panel = within(await screen.findByRole("tabpanel", { name: "Ledger" }));
  const shown = (await panel.findByRole("listitem")).textContent;
  expect(shown).toContain("Granted credit-$0.000000005");
  expect(shown).toContain("lottery$0.000000005");
});

test("an account without a movement is told what will be here; what fails can be tried again", async () => {
  let failing = true;
  server.use(http.get("*/api/v1/wallet/statement", () => (failing ? refuse(422, "invalid_period") : HttpResponse.json(statement))));
  openPage(BalancePage, "/balance");
  expect(await screen.findByText("No charges yet")).toBeTruthy();
  expect(await screen.findByText(/This period cannot be shown/)).toBeTruthy();
  failing = false;
  await userEvent.click(screen.getByRole("button", { name: "Try again" }));
  expect(await screen.findByText("Nothing was charged in this period.")).toBeTruthy();
});

test("days of one's own are checked before the server is asked", async () => {
  openPage(BalancePage, "/balance?from=2026-02-01&to=2026-02-03");
  await userEvent.click(await screen.findByRole("button", { name: "Other days" }));
  await userEvent.clear(screen.getByLabelText("To"));
  await userEvent.click(screen.getByRole("button", { name: "Show" }));
  expect(await screen.findByText("Two dates are needed.")).toBeTruthy();
});
