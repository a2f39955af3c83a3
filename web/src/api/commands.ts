/**
 * Writes that must happen once. The server answers 201 when committed, or 202 with a command to ask about; the same
 * idempotency key then answers the result of the first attempt, so a lost answer or a slow commit never acts twice.
 */
import { api, unwrap } from "./client";
import { ApiError, networkError } from "./problem";
import { pause } from "@/lib/time";

/** Attempts after a lost answer before the person is asked to retry. */
const ATTEMPTS = 3;
const POLL_MS = 1_000;
const POLLS = 60;

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

function commandId(data: unknown): string | null {
  const pending = typeof data === "object" && data !== null && "command_id" in data ? data.command_id : null;
  return typeof pending === "string" ? pending : null;
}

async function settled(id: string): Promise<void> {
  for (let poll = 0; poll < POLLS; poll += 1) {
    await pause(POLL_MS);
    const command = await unwrap(api.GET("/api/v1/commands/{id}", { params: { path: { id } } }));
    if (command.status === "done") return;
    if (command.status !== "pending") {
      throw new ApiError(422, command.code ?? "refused", command.message ?? "", null);
    }
  }
  throw new ApiError(0, "network", "the command did not finish in time", null);
}

/**
 * Runs `call` (always with the same idempotency key) until the server has an outcome. `T` is the committed answer.
 * Rejects with an `ApiError`: refused, or no answer after a few attempts (retrying with the same key is then safe).
 */
export async function once<T>(call: () => Promise<Answer<T | { command_id: string }>>): Promise<T> {
  let failure: ApiError | undefined;
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    if (attempt > 0) await pause(400 * 2 ** attempt);
    try {
      const answer = await call();
      const data = await unwrap(Promise.resolve(answer));
      const pending = answer.response.status === 202 ? commandId(data) : null;
      if (pending === null) return data as T;
      await settled(pending);
    } catch (cause) {
      failure = networkError(cause);
      if (!failure.transient || failure.status === 429 || failure.status === 503) throw failure;
    }
  }
  throw failure ?? new ApiError(0, "network", "no answer", null);
}
