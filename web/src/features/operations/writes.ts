/** Writes of the operators' screens. */
import type { QueryClient } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import { once } from "@/api/commands";
import { authorised } from "@/api/transport";
import { operatorKeys } from "./queries";
import type { Channel, ChannelPatch, Movement, NewChannel, TestResult } from "./types";

/** What the models offer may have changed with a channel. */
async function channelsChanged(client: QueryClient): Promise<void> {
  void client.invalidateQueries({ queryKey: ["models"] });
  await client.invalidateQueries({ queryKey: operatorKeys.channels });
}

export async function createChannel(client: QueryClient, channel: NewChannel, idempotencyKey: string): Promise<Channel> {
  const created = await once<Channel>(() =>
    api.POST("/api/v1/admin/channels", { params: { header: { "Idempotency-Key": idempotencyKey } }, body: channel }),
  );
  await channelsChanged(client);
  return created;
}

export async function patchChannel(client: QueryClient, id: string, patch: ChannelPatch): Promise<void> {
  await once(() => api.PATCH("/api/v1/admin/channels/{id}", { params: { path: { id } }, body: patch }));
  await channelsChanged(client);
}

export async function deleteChannel(client: QueryClient, id: string): Promise<void> {
  await once(() => api.DELETE("/api/v1/admin/channels/{id}", { params: { path: { id } } }));
  await channelsChanged(client);
}

/** The server waits 30 s for a provider; we wait a little longer for the server. */
const TEST_TIMEOUT_MS = 35_000;

function patiently(request: Request): Promise<Response> {
  return authorised(new Request(request, { signal: AbortSignal.timeout(TEST_TIMEOUT_MS) }));
}

/** One short call to the provider. What the provider refuses is a result, not an error. */
export function testChannel(id: string, model: string | null): Promise<TestResult> {
  const body = model === null ? {} : { model };
  return unwrap(api.POST("/api/v1/admin/channels/{id}/test", { params: { path: { id } }, body, fetch: patiently }));
}

export const MOVEMENTS = ["grants", "top-ups", "adjustments"] as const;
export type MovementKind = (typeof MOVEMENTS)[number];

export interface Transfer {
  readonly kind: MovementKind;
  readonly amountNanos: string;
  readonly reason: string;
}

/** Books a movement; the same key never books twice, however often it is sent. */
export function bookTransfer(userId: string, transfer: Transfer, idempotencyKey: string): Promise<Movement> {
  const init = {
    params: { path: { id: userId }, header: { "Idempotency-Key": idempotencyKey } },
    body: { amount_nanos: transfer.amountNanos, reason: transfer.reason },
  };
  return once<Movement>(() => api.POST(`/api/v1/admin/users/{id}/${transfer.kind}`, init));
}
