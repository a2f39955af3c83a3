/** What the event stream says has changed, turned into refetches of what the cache holds of it. */
import type { InfiniteData, QueryClient } from "@tanstack/react-query";
import { isUnfinished, type Message, type Page } from "@/api/types";
import { walletKeys } from "@/features/billing/wallet";
import { apiKeyKeys } from "@/features/users/keys/cache";
import { messageKeys, sessionKeys } from "../queries";
import type { PositionsFrame } from "./frames";

/** Programs with a key may move money many times a second; the page follows at this pace. */
export const MONEY_MS = 500;
/** An answer whose cost is not known this long after its end gets it with the next ordinary read. */
const SETTLES_WITHIN_MS = 10 * 60_000;

function awaitsCost(message: Message, now: number): boolean {
  if (message.role !== "assistant" || isUnfinished(message.status) || message.cost_nanos != null) return false;
  return message.completed_at != null && now - Date.parse(message.completed_at) < SETTLES_WITHIN_MS;
}

function anyAwaitsCost(data: unknown): boolean {
  const pages = (data as InfiniteData<Page<Message>> | undefined)?.pages ?? [];
  const now = Date.now();
  return pages.some((page) => page.items.some((message) => awaitsCost(message, now)));
}

/** Applies hints; remembers how far it has heard so that a jump in `positions` is noticed. */
export class Hints {
  #heard = 0;
  #money: ReturnType<typeof setTimeout> | undefined;
  constructor(private readonly client: QueryClient) {}

  changed(topic: string, sessionId: string | null, position: number): void {
    this.#heard = Math.max(this.#heard, position);
    if (topic === "wallet") return this.#moneyMoved();
    if (topic === "api_keys") return this.#stale(apiKeyKeys.all);
    this.#stale(sessionKeys.all);
    if (topic === "messages") this.#stale(sessionId === null ? messageKeys.all : messageKeys.of(sessionId));
  }

  positions(positions: Omit<PositionsFrame, "type">): void {
    const furthest = Math.max(positions.chat_v1 ?? 0, positions.billing_v1 ?? 0);
    const first = this.#heard === 0;
    const jumped = furthest > this.#heard;
    this.#heard = Math.max(this.#heard, furthest);
    if (jumped && !first) this.everything();
  }

  /** After a gap in which hints may have been lost. */
  everything(): void {
    for (const key of [sessionKeys.all, messageKeys.all, apiKeyKeys.all]) this.#stale(key);
    this.#moneyMoved();
  }

  close(): void {
    clearTimeout(this.#money);
  }

  #stale(queryKey: readonly string[]): void {
    void this.client.invalidateQueries({ queryKey });
  }

  /** The wallet, and the answers that wait to hear what they cost: once for all hints of a moment. */
  #moneyMoved(): void {
    this.#money ??= setTimeout(() => {
      this.#money = undefined;
      this.#stale(walletKeys.all);
      void this.client.invalidateQueries({ queryKey: messageKeys.all, predicate: (query) => anyAwaitsCost(query.state.data) });
    }, MONEY_MS);
  }
}
