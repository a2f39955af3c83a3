/** What operators read and write, and the client that sends it. Amounts are nano-units, prices decimals, both as strings. */
import createClient from "openapi-fetch";
import { authorisedInTime } from "@/api/transport";
import type { Page } from "@/api/types";

/** Per million tokens; `cached_input` falls back to `input`, `reasoning` to `output`. */
export interface Rates {
  input: string;
  output: string;
  cached_input?: string | null;
  reasoning?: string | null;
}

export type Provider = "openai" | "local";

export interface ChannelModel {
  name: string;
  upstream: string;
  context_tokens?: number | null;
  max_output_tokens?: number | null;
  prices: Rates;
  costs: Rates;
  price_version: number;
}

export interface Channel {
  id: string;
  name: string;
  provider: Provider;
  base_url?: string | null;
  key_hints: string[];
  models: ChannelModel[];
  enabled: boolean;
  created_at: string;
  updated_at: string;
}

export interface ModelWrite {
  name: string;
  upstream?: string;
  context_tokens?: number;
  max_output_tokens?: number;
}

export interface ChannelPatch {
  name?: string;
  base_url?: string;
  keys?: string[];
  models?: ModelWrite[];
  prices?: Record<string, Rates>;
  costs?: Record<string, Rates>;
  enabled?: boolean;
}

export interface NewChannel extends ChannelPatch {
  name: string;
  provider: Provider;
  models: ModelWrite[];
  prices: Record<string, Rates>;
}

export interface TestResult {
  ok: boolean;
  model: string;
  latency_ms: number;
  reply?: string | null;
  error?: { code: string; message: string } | null;
}

export interface Wallet {
  available_nanos: string;
  held_nanos: string;
  balance_nanos: string;
  granted_nanos: string;
  paid_nanos: string;
  debt_nanos: string;
  currency: string;
}

export interface UserRow {
  id: string;
  email: string;
  username: string;
  role: "user" | "admin";
  created_at: string;
  wallet: Wallet;
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

export interface Movement {
  amount_nanos: string;
  reason: string;
}

export interface MovementAnswer {
  id: string;
  user_id: string;
  amount_nanos: string;
  wallet: Wallet;
}

export interface EventRow {
  position: number;
  aggregate_type: string;
  aggregate_id: string;
  sequence: number;
  event_type: string;
  event_version: number;
  recorded_at: string;
  actor?: string | null;
  command_id?: string | null;
  payload: unknown;
}

export interface Projection {
  name: string;
  position: number;
  lag: number;
  parked: number;
  last_error?: string | null;
}

interface Parameters<Query, Path, Headers> {
  query?: Query;
  path: Path;
  header: Headers;
  cookie?: never;
}
interface Answered<Answer> {
  responses: { 200: { headers: Record<string, unknown>; content: { "application/json": Answer } } };
}
interface Get<Answer, Path = undefined, Query = undefined> extends Answered<Answer> {
  parameters: Simplify<Parameters<Query, Path, undefined>>;
}
interface Write<Body, Answer, Path = undefined, Headers = undefined> extends Answered<Answer> {
  parameters: Simplify<Parameters<undefined, Path, Headers>>;
  requestBody: { content: { "application/json": Body } };
}
/** Leaves out what is undefined, as the generated types do. */
type Simplify<T> = { [Key in keyof T as T[Key] extends undefined ? never : Key]: T[Key] };

interface ById {
  id: string;
}
interface Paging {
  limit?: number;
  cursor?: string;
}
interface Keyed {
  "Idempotency-Key": string;
}
type Move = { post: Write<Movement, MovementAnswer, ById, Keyed> };

/** The routes of operators in the form of the generated `paths`. */
export interface AdminPaths {
  "/api/v1/admin/channels": {
    get: Get<Page<Channel>, undefined, Paging>;
    post: Write<NewChannel, Channel, undefined, Keyed>;
  };
  "/api/v1/admin/channels/{id}": {
    get: Get<Channel, ById>;
    patch: Write<ChannelPatch, Channel, ById>;
    delete: Get<null, ById>;
  };
  "/api/v1/admin/channels/{id}/test": { post: Write<{ model?: string }, TestResult, ById> };
  "/api/v1/admin/users": { get: Get<Page<UserRow>, undefined, Paging & { query?: string }> };
  "/api/v1/admin/users/{id}": { get: Get<UserRow, ById> };
  "/api/v1/admin/users/{id}/ledger": { get: Get<Page<LedgerEntry>, ById, Paging> };
  "/api/v1/admin/users/{id}/grants": Move;
  "/api/v1/admin/users/{id}/top-ups": Move;
  "/api/v1/admin/users/{id}/adjustments": Move;
  "/api/v1/admin/events": {
    get: Get<
      Page<EventRow>,
      undefined,
      { aggregate_type?: string; aggregate_id?: string; event_type?: string; before?: number; limit?: number }
    >;
  };
  "/api/v1/admin/projections": { get: Get<{ items: Projection[]; last_position: number }> };
}

export const api = createClient<AdminPaths>({ baseUrl: location.origin, fetch: authorisedInTime });
