import { QueryClient } from "@tanstack/react-query";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Message } from "@/api/types";
import { walletKeys } from "@/features/billing/wallet";
import { apiKeyKeys } from "@/features/users/keys/cache";
import { messageKeys, sessionKeys } from "../queries";
import { Hints, MONEY_MS } from "./hints";

let client: QueryClient;
let hints: Hints;

beforeEach(() => {
  vi.useFakeTimers({ now: new Date("2026-11-22T10:00:00Z") });
  client = new QueryClient();
  hints = new Hints(client);
  const answer = { role: "assistant", status: "complete", completed_at: "2026-11-22T09:59:58Z", cost_nanos: null } as Message;
  client.setQueryData(sessionKeys.list(), "sessions");
  client.setQueryData(walletKeys.balance(), "wallet");
  client.setQueryData(apiKeyKeys.all, "keys");
  client.setQueryData(messageKeys.branch("waits", "latest"), { pages: [{ items: [answer] }] });
  client.setQueryData(messageKeys.branch("knows", "latest"), { pages: [{ items: [{ ...answer, cost_nanos: "12" }] }] });
  client.setQueryData(messageKeys.branch("old", "latest"), { pages: [{ items: [{ ...answer, completed_at: "2026-11-21T10:00:00Z" }] }] });
});

afterEach(() => {
  hints.close();
  vi.useRealTimers();
});

const stale = (key: readonly string[]): boolean | undefined => client.getQueryState(key)?.isInvalidated;
const staleSessions = (): string[] => ["waits", "knows", "old"].filter((id) => stale(messageKeys.branch(id, "latest")));

test("money that moved makes the wallet stale, and those answers that wait for their cost", () => {
  hints.changed("wallet", null, 7);
  vi.advanceTimersByTime(MONEY_MS);
  expect(stale(walletKeys.balance())).toBe(true);
  expect(staleSessions()).toEqual(["waits"]);
  expect(stale(sessionKeys.list())).toBe(false);
});

test("many movements in a moment are one refetch", () => {
  const spy = vi.spyOn(client, "invalidateQueries");
  for (let index = 0; index < 100; index += 1) hints.changed("wallet", null, index);
  vi.advanceTimersByTime(MONEY_MS);
  expect(spy).toHaveBeenCalledTimes(2);
});

test("keys and messages concern only themselves", () => {
  hints.changed("api_keys", null, 1);
  expect([stale(apiKeyKeys.all), stale(sessionKeys.list()), staleSessions()]).toEqual([true, false, []]);
  hints.changed("messages", "knows", 2);
  expect([stale(sessionKeys.list()), staleSessions()]).toEqual([true, ["knows"]]);
});

test("a jump that no hint announced makes everything stale; the first positions and announced ones do not", () => {
  hints.positions({ billing_v1: 10, chat_v1: 10 });
  hints.changed("wallet", null, 12);
  vi.advanceTimersByTime(MONEY_MS);
  hints.positions({ billing_v1: 12, chat_v1: 12 });
  expect(stale(sessionKeys.list())).toBe(false);
  hints.positions({ billing_v1: 15, chat_v1: 12 });
  vi.advanceTimersByTime(MONEY_MS);
  expect(stale(sessionKeys.list())).toBe(true);
  expect(staleSessions()).toEqual(["waits", "knows", "old"]);
});
