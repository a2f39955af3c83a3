/** Reads and writes of API keys. */
import { queryOptions, type QueryClient } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import { once } from "@/api/commands";
import type { ApiKey, CreatedApiKey, NewApiKey } from "@/api/types";
import { apiKeyKeys } from "./cache";

const PAGE = 100;
/** A user has at most a hundred keys in use; revoked ones may be more, and the oldest of them are left out. */
const MAX_PAGES = 5;

export function apiKeysQuery() {
  return queryOptions({
    queryKey: apiKeyKeys.all,
    queryFn: async ({ signal }): Promise<ApiKey[]> => {
      const keys: ApiKey[] = [];
      let cursor: string | null = null;
      for (let page = 0; page < MAX_PAGES; page += 1) {
        const query: { limit: number; cursor?: string } = { limit: PAGE, ...(cursor === null ? {} : { cursor }) };
        const { items, next_cursor } = await unwrap(api.GET("/api/v1/api-keys", { params: { query }, signal }));
        keys.push(...items);
        cursor = next_cursor ?? null;
        if (cursor === null) break;
      }
      return keys;
    },
  });
}

/** Makes a key. The same idempotency key answers the same secret again, so that a lost answer loses nothing. */
export async function createKey(client: QueryClient, wanted: NewApiKey, idempotencyKey: string): Promise<CreatedApiKey> {
  try {
    return await once<CreatedApiKey>(() =>
      api.POST("/api/v1/api-keys", { params: { header: { "Idempotency-Key": idempotencyKey } }, body: wanted }),
    );
  } finally {
    void client.invalidateQueries({ queryKey: apiKeyKeys.all });
  }
}

/** Revoking twice is revoking once. */
export async function revokeKey(client: QueryClient, id: string): Promise<void> {
  try {
    await unwrap(api.DELETE("/api/v1/api-keys/{id}", { params: { path: { id } } }));
  } finally {
    await client.invalidateQueries({ queryKey: apiKeyKeys.all });
  }
}

export type KeyState = "active" | "expired" | "revoked";

export function stateOf(key: ApiKey, now: Date): KeyState {
  if (key.revoked_at != null) return "revoked";
  return key.expires_at != null && Date.parse(key.expires_at) <= now.getTime() ? "expired" : "active";
}
