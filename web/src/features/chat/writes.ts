/** Writes of the chat: send, regenerate, stop, rename, delete, restore. */
import type { QueryClient } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import { once } from "@/api/commands";
import type { Message, Session } from "@/api/types";
import { randomId } from "@/lib/uuid";
import { appendMessages, messageKeys, patchSessions, sessionKeys } from "./queries";

export interface Outgoing {
  content: string;
  model: string | null;
  /** The message to answer after; null starts a new root, undefined goes after the newest leaf. */
  parentId: string | null | undefined;
  /** Kept from the first attempt until the server accepts. */
  idempotencyKey: string;
}

export interface Sent {
  message_id: string;
  reply_id: string;
  run_id: string;
}

/** The rows that the read model will show for an accepted message. */
function acceptedMessages(sessionId: string, outgoing: Outgoing, sent: Sent): Message[] {
  const common = {
    session_id: sessionId,
    error: null,
    usage: null,
    finish_reason: null,
    cost_nanos: null,
    created_at: new Date().toISOString(),
    completed_at: null,
  };
  const question: Message = {
    ...common,
    id: sent.message_id,
    parent_id: outgoing.parentId ?? null,
    role: "user",
    content: outgoing.content,
    model: null,
    status: "complete",
    run_id: null,
    attempt: null,
    siblings: [sent.message_id],
  };
  const reply: Message = {
    ...common,
    id: sent.reply_id,
    parent_id: sent.message_id,
    role: "assistant",
    content: "",
    model: outgoing.model,
    status: "pending",
    run_id: sent.run_id,
    attempt: null,
    siblings: [sent.reply_id],
  };
  return [question, reply];
}

/** Sends a message and shows it in `branch` as soon as the server has accepted it. */
export async function sendMessage(
  client: QueryClient,
  sessionId: string,
  branch: string,
  outgoing: Outgoing,
): Promise<Sent> {
  const { content, model, parentId, idempotencyKey } = outgoing;
  const body = {
    content,
    ...(model === null ? {} : { model }),
    ...(parentId === undefined ? {} : { parent_id: parentId }),
  };
  const sent = await once<Sent>(() =>
    api.POST("/api/v1/sessions/{id}/messages", {
      params: { path: { id: sessionId }, header: { "Idempotency-Key": idempotencyKey } },
      body,
    }),
  );
  await client.cancelQueries({ queryKey: messageKeys.of(sessionId) });
  appendMessages(client, sessionId, branch, acceptedMessages(sessionId, outgoing, sent));
  void client.invalidateQueries({ queryKey: messageKeys.of(sessionId) });
  void client.invalidateQueries({ queryKey: sessionKeys.all });
  return sent;
}

/** Creates a session; the same key answers the same session again. */
export function createSession(idempotencyKey: string): Promise<Session> {
  return once<Session>(() =>
    api.POST("/api/v1/sessions", { params: { header: { "Idempotency-Key": idempotencyKey } }, body: {} }),
  );
}

/** A new sibling of an answer, or a new answer to a question. Resolves with the id of the new answer. */
export async function regenerate(client: QueryClient, message: Message, model: string | null): Promise<string> {
  const key = randomId();
  const answer = await once<{ message_id: string; run_id: string }>(() =>
    api.POST("/api/v1/messages/{id}/regenerate", {
      params: { path: { id: message.id }, header: { "Idempotency-Key": key } },
      body: model === null ? {} : { model },
    }),
  );
  await client.invalidateQueries({ queryKey: messageKeys.of(message.session_id) });
  return answer.message_id;
}

export async function stopRun(client: QueryClient, sessionId: string, runId: string): Promise<void> {
  await unwrap(api.POST("/api/v1/runs/{id}/cancel", { params: { path: { id: runId } } }));
  void client.invalidateQueries({ queryKey: messageKeys.of(sessionId) });
}

export async function renameSession(client: QueryClient, id: string, title: string): Promise<void> {
  patchSessions(client, (items) => items.map((item) => (item.id === id ? { ...item, title } : item)));
  try {
    const session = await unwrap(api.PATCH("/api/v1/sessions/{id}", { params: { path: { id } }, body: { title } }));
    client.setQueryData(sessionKeys.one(id), session);
  } finally {
    void client.invalidateQueries({ queryKey: sessionKeys.all });
  }
}

export async function deleteSession(client: QueryClient, id: string): Promise<void> {
  await client.cancelQueries({ queryKey: sessionKeys.list() });
  patchSessions(client, (items) => items.filter((item) => item.id !== id));
  try {
    await unwrap(api.DELETE("/api/v1/sessions/{id}", { params: { path: { id } } }));
  } finally {
    void client.invalidateQueries({ queryKey: sessionKeys.list() });
  }
}

export async function restoreSession(client: QueryClient, id: string): Promise<void> {
  await unwrap(api.POST("/api/v1/sessions/{id}/restore", { params: { path: { id } } }));
  await client.invalidateQueries({ queryKey: sessionKeys.all });
}
