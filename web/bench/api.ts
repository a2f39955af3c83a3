/** A small client of the API, to prepare what is measured. */
import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { PASSWORD } from "../e2e/journey";

export interface Api {
  readonly email: string;
  session: (title: string) => Promise<string>;
  /** Sends; answers the run's id. */
  start: (sessionId: string, content: string) => Promise<string>;
  /** Sends and waits for the whole reply. */
  say: (sessionId: string, content: string) => Promise<void>;
}

/** Reads wait for the latest write. */
let latestEvent = "";

async function call<T>(base: string, token: string | null, method: string, path: string, body?: object): Promise<T> {
  const headers = {
    "content-type": "application/json",
    "idempotency-key": randomUUID(),
    ...(latestEvent === "" ? {} : { "x-after": latestEvent }),
    ...(token === null ? {} : { authorization: `Bearer ${token}` }),
  };
  const response = await fetch(`${base}/api/v1/${path}`, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  latestEvent = response.headers.get("x-event") ?? latestEvent;
  return (await response.json()) as T;
}

export async function account(base: string): Promise<Api> {
  const email = `bench.${Date.now()}@example.org`;
  await call(base, null, "POST", "auth/register", { email, username: `Bench.${Date.now() % 1_000_000}`, password: PASSWORD });
  const { access_token: token } = await call<{ access_token: string }>(base, null, "POST", "auth/login", { email, password: PASSWORD });
  const start = async (sessionId: string, content: string): Promise<string> =>
    (await call<{ run_id: string }>(base, token, "POST", `sessions/${sessionId}/messages`, { content })).run_id;
  return {
    email,
    start,
    session: async (title) => (await call<{ id: string }>(base, token, "POST", "sessions", { title })).id,
    say: async (sessionId, content) => {
      const run = await start(sessionId, content);
      for (;;) {
        const { status } = await call<{ status: string }>(base, token, "GET", `runs/${run}`);
        if (["complete", "stopped", "failed"].includes(status)) return;
        await pause(25);
      }
    },
  };
}
