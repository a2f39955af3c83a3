/** One way out for every request: bearer token, one retry after a refresh, read-your-writes tokens, time-outs. */
import { credentials, freshToken, refresh } from "./credentials";
import { networkError } from "./problem";

/** A request without an answer for this long has failed; streams are exempt. */
const TIMEOUT_MS = 20_000;

/** The latest `X-Event` of this tab: reads ask the server to have seen it. */
let latestEvent: string | null = null;

async function send(request: Request, token: string | null): Promise<Response> {
  if (token !== null) request.headers.set("authorization", `Bearer ${token}`);
  if (request.method === "GET" && latestEvent !== null) request.headers.set("x-after", latestEvent);
  const response = await fetch(request);
  latestEvent = response.headers.get("x-event") ?? latestEvent;
  return response;
}

/** Sends with the bearer token; a 401 refreshes and sends once more. Rejects with an `ApiError` without an answer. */
export async function authorised(request: Request): Promise<Response> {
  try {
    const second = request.clone();
    const token = await freshToken();
    const response = await send(request, token);
    if (response.status !== 401 || token === null) return response;
    const grant = await refresh(token);
    return grant === null ? response : await send(second, grant.accessToken);
  } catch (cause) {
    throw networkError(cause);
  }
}

/** `authorised` with a time limit. */
export function authorisedInTime(request: Request): Promise<Response> {
  const signal = AbortSignal.any([request.signal, AbortSignal.timeout(TIMEOUT_MS)]);
  return authorised(new Request(request, { signal }));
}

credentials.subscribe((now, before) => {
  // Another account must not wait for events of this one.
  if (now.grant?.user.id !== before.grant?.user.id) latestEvent = null;
});
