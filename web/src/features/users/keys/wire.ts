/** API keys of the reader (docs/API.md, "API keys"). */
import createClient from "openapi-fetch";
import { authorisedInTime } from "@/api/transport";

export const SCOPES = ["chat", "models", "billing"] as const;
export type Scope = (typeof SCOPES)[number];

export interface ApiKey {
  id: string;
  name: string;
  /** The end of the key. */
  hint: string;
  scopes: Scope[];
  /** Absent or null: every model. */
  models?: string[] | null;
  expires_at?: string | null;
  created_at: string;
  revoked_at?: string | null;
  last_used_at?: string | null;
}

export interface NewKey {
  name: string;
  scopes: Scope[];
  models?: string[];
  expires_at?: string;
}

/** The answer to a new key: the only time that its secret is told. */
export type CreatedKey = ApiKey & { key: string };

interface Json<Status extends number, Answer> {
  responses: Record<Status, { headers: Record<string, unknown>; content: { "application/json": Answer } }>;
}

interface None {
  query?: never;
  header?: never;
  path?: never;
  cookie?: never;
}

interface KeyPaths {
  "/api/v1/api-keys": {
    get: Json<200, { items: ApiKey[]; next_cursor?: string | null }> & { parameters: Omit<None, "query"> & { query?: { limit?: number; cursor?: string } } };
    post: Json<201, CreatedKey> & { parameters: None; requestBody: { content: { "application/json": NewKey } } };
  };
  "/api/v1/api-keys/{id}": {
    delete: { parameters: Omit<None, "path"> & { path: { id: string } }; responses: { 204: { headers: Record<string, unknown>; content?: never } } };
  };
}

export const api = createClient<KeyPaths>({ baseUrl: location.origin, fetch: authorisedInTime });
