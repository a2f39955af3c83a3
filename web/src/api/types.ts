/** The server's shapes under short names. They come from `docs/openapi.json`; `make contracts` regenerates them. */
import type { components } from "./schema";

type Schemas = components["schemas"];

export type User = Schemas["User"];
export type Session = Schemas["Session"];
export type Message = Schemas["Message"];
export type Model = Schemas["Model"];
export type Problem = Schemas["Problem"];
export type SignedIn = Schemas["SignedIn"];
export type Wallet = Schemas["Wallet"];
export type Charge = Schemas["Charge"];
export type LedgerEntry = Schemas["LedgerEntry"];
export type Statement = Schemas["Statement"];
export type ApiKey = Schemas["ApiKey"];
export type NewApiKey = Schemas["NewApiKey"];
export type CreatedApiKey = Schemas["CreatedApiKey"];
export type MessageStatus = Message["status"];

/** One page of a list; `next_cursor` is null on the last. */
export interface Page<T> {
  items: T[];
  next_cursor?: string | null;
}

/** A reply in one of these states is still being written. */
export function isUnfinished(status: MessageStatus): boolean {
  return status === "pending" || status === "streaming";
}
