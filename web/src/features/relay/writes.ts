/** Writes of the operators' screens about groups, prices and what a channel was. */
import type { QueryClient } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import { once } from "@/api/commands";
import { operatorKeys } from "@/features/operations/queries";
import type { Channel, Group, GroupPatch, ImportedPrices, ImportPrices, NewGroup, NewModelPrice } from "@/features/operations/types";
import { relayKeys } from "./queries";

async function offersChanged(client: QueryClient): Promise<void> {
  void client.invalidateQueries({ queryKey: ["models"] });
  await client.invalidateQueries({ queryKey: operatorKeys.channels });
}

async function groupsChanged(client: QueryClient): Promise<void> {
  void client.invalidateQueries({ queryKey: ["models"] });
  await client.invalidateQueries({ queryKey: relayKeys.groups });
}

/** Makes a channel again what it was after `version`. */
export async function revertChannel(client: QueryClient, id: string, version: number): Promise<void> {
  await once<Channel>(() => api.POST("/api/v1/admin/channels/{id}/revert", { params: { path: { id } }, body: { version } }));
  await offersChanged(client);
}

/** Uses a key again that the provider called void. */
export async function resumeKey(client: QueryClient, id: string, key: string): Promise<void> {
  await once<Channel>(() => api.POST("/api/v1/admin/channels/{id}/keys/{key}/resume", { params: { path: { id, key } } }));
  await offersChanged(client);
}

/** Changes what models of a channel cost, at once or from an instant on. */
export async function setPrices(client: QueryClient, id: string, prices: NewModelPrice[]): Promise<void> {
  await once<Channel>(() => api.POST("/api/v1/admin/channels/{id}/prices", { params: { path: { id } }, body: { prices } }));
  await offersChanged(client);
}

/** What would become of an import; nothing changes. */
export function previewImport(wanted: ImportPrices): Promise<ImportedPrices> {
  return unwrap(api.POST("/api/v1/admin/prices/import", { body: { ...wanted, dry_run: true } }));
}

export async function importPrices(client: QueryClient, wanted: ImportPrices): Promise<ImportedPrices> {
  try {
    return await unwrap(api.POST("/api/v1/admin/prices/import", { body: wanted }));
  } finally {
    // Channels before the one that failed have their prices.
    await offersChanged(client);
  }
}

/** The same group is added once, however often it is sent under one key. */
export async function addGroup(client: QueryClient, group: NewGroup, idempotencyKey: string): Promise<void> {
  await once<Group>(() => api.POST("/api/v1/admin/groups", { params: { header: { "Idempotency-Key": idempotencyKey } }, body: group }));
  await groupsChanged(client);
}

export async function changeGroup(client: QueryClient, name: string, patch: GroupPatch): Promise<void> {
  await once<Group>(() => api.PATCH("/api/v1/admin/groups/{name}", { params: { path: { name } }, body: patch }));
  await groupsChanged(client);
}

/** Removes a group that nobody is in and no channel names; what still uses it is in the refusal. */
export async function removeGroup(client: QueryClient, name: string): Promise<void> {
  try {
    await once(() => api.DELETE("/api/v1/admin/groups/{name}", { params: { path: { name } } }));
  } finally {
    await groupsChanged(client);
  }
}

/** Puts an account into a group, and out of the one that it was in. */
export async function assignGroup(client: QueryClient, user: string, group: string): Promise<void> {
  await once(() => api.PUT("/api/v1/admin/users/{id}/group", { params: { path: { id: user } }, body: { group } }));
  await Promise.all([client.invalidateQueries({ queryKey: operatorKeys.users }), groupsChanged(client)]);
}
