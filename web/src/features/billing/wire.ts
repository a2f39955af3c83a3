/** What a wallet's owner reads (docs/API.md, "Money"). Amounts are integers of nano-units in strings. */
import createClient from "openapi-fetch";
import { authorisedInTime } from "@/api/transport";
import type { Page } from "@/api/types";

export interface Wallet {
  available_nanos: string;
  held_nanos: string;
  balance_nanos: string;
  granted_nanos: string;
  paid_nanos: string;
  debt_nanos: string;
  currency: string;
}

/** Decimals per million tokens. */
export interface Rates {
  input: string;
  output: string;
  cached_input?: string | null;
  reasoning?: string | null;
}

/** `input` and `output` are without the cached and the reasoning ones. */
export interface Tokens {
  input: number;
  cached_input: number;
  output: number;
  reasoning: number;
}

export type Basis = "reported" | "counted" | "estimated";

export interface Charge {
  hold_id: string;
  kind: "reply" | "api";
  model: string;
  tokens: Tokens;
  basis: Basis;
  prices: Rates;
  price_version: number;
  charged_nanos: string;
  session_id?: string | null;
  run_id?: string | null;
  api_key_id?: string | null;
  at: string;
}

export interface LedgerEntry {
  position: number;
  line: number;
  account: string;
  amount_nanos: string;
  kind: string;
  hold_id?: string | null;
  model?: string | null;
  reason?: string | null;
  at: string;
}

export interface Statement {
  /** Days in UTC, both included. */
  from: string;
  to: string;
  currency: string;
  opening_nanos: string;
  closing_nanos: string;
  granted_nanos: string;
  topped_up_nanos: string;
  adjusted_nanos: string;
  charged_nanos: string;
  days: { date: string; charged_nanos: string; calls: number }[];
  models: { model: string; calls: number; input_tokens: number; output_tokens: number; charged_nanos: string }[];
  api_keys: { api_key_id?: string | null; name?: string | null; calls: number; charged_nanos: string }[];
}

interface Get<Query, Answer> {
  parameters: { query?: Query; header?: never; path?: never; cookie?: never };
  responses: { 200: { headers: Record<string, unknown>; content: { "application/json": Answer } } };
}

interface Paging {
  limit?: number;
  cursor?: string;
}

/** The routes in the form of the generated `paths`. */
interface BillingPaths {
  "/api/v1/wallet": { get: Get<never, Wallet> };
  "/api/v1/wallet/statement": { get: Get<{ from: string; to: string }, Statement> };
  "/api/v1/ledger/entries": { get: Get<Paging, Page<LedgerEntry>> };
  "/api/v1/charges": { get: Get<Paging, Page<Charge>> };
}

export const api = createClient<BillingPaths>({ baseUrl: location.origin, fetch: authorisedInTime });
