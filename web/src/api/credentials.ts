/**
 * Who is signed in, in this tab. The access token lives in memory only; the refresh token is an HttpOnly cookie that
 * no script sees. One tab at a time refreshes (a lock), the others adopt its answer (a broadcast). A refused refresh
 * signs out; a lost network does not.
 */
import { createStore } from "zustand/vanilla";
import { networkError, problemOf } from "./problem";
import type { SignedIn, User } from "./types";

export interface Grant {
  readonly accessToken: string;
  /** Milliseconds since the epoch, by this machine's clock. */
  readonly expiresAt: number;
  readonly user: User;
}

export type Credentials =
  | { readonly status: "unknown" | "signed-out"; readonly grant: null }
  | { readonly status: "signed-in"; readonly grant: Grant };

type Broadcast = { type: "grant"; grant: Grant } | { type: "signed-out" };

/** Refresh this long before the token expires. */
const REFRESH_AHEAD_MS = 60_000;
/** A request does not leave with a token that has less than this to live. */
const MIN_LIFE_MS = 5_000;
const RETRY_MS = 10_000;
/** Says that a cookie probably exists, so that a first visit does not ask for a refusal. Holds no secret. */
const HINT_KEY = "oblivious.signed-in";

export const credentials = createStore<Credentials>(() => ({ status: "unknown", grant: null }));

const channel = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel("oblivious.credentials");
let timer: ReturnType<typeof setTimeout> | undefined;
let refreshing: Promise<Grant | null> | null = null;

function scheduleRefresh(delayMs: number): void {
  clearTimeout(timer);
  timer = setTimeout(() => void refresh().catch(() => scheduleRefresh(RETRY_MS)), delayMs);
}

function setHint(present: boolean): void {
  try {
    if (present) localStorage.setItem(HINT_KEY, "1");
    else localStorage.removeItem(HINT_KEY);
  } catch {
    // Storage is blocked: each load then asks the server.
  }
}

/** Whether somebody seems to be signed in, before the server was asked. */
export function maybeSignedIn(): boolean {
  try {
    return localStorage.getItem(HINT_KEY) !== null;
  } catch {
    return true;
  }
}

function hold(grant: Grant): void {
  credentials.setState({ status: "signed-in", grant }, true);
  // Jitter, so that of many tabs one refreshes and the others adopt.
  const ahead = REFRESH_AHEAD_MS + Math.random() * 10_000;
  scheduleRefresh(Math.max(1_000, grant.expiresAt - Date.now() - ahead));
}

function drop(): void {
  clearTimeout(timer);
  credentials.setState({ status: "signed-out", grant: null }, true);
}

channel?.addEventListener("message", (event: MessageEvent<Broadcast>) => {
  if (event.data.type === "grant") hold(event.data.grant);
  else drop();
});

/** Takes over the answer of a login or a refresh and tells the other tabs. */
export function adopt(answer: SignedIn): Grant {
  const expiresAt = Date.now() + answer.expires_in * 1_000;
  const grant: Grant = { accessToken: answer.access_token, expiresAt, user: answer.user };
  setHint(true);
  hold(grant);
  channel?.postMessage({ type: "grant", grant } satisfies Broadcast);
  return grant;
}

/** Forgets the token here and in every other tab. The cookie is the server's to clear. */
export function forget(): void {
  setHint(false);
  drop();
  channel?.postMessage({ type: "signed-out" } satisfies Broadcast);
}

async function requestRefresh(): Promise<Grant | null> {
  const response = await fetch("/api/v1/auth/refresh", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: "{}",
    credentials: "same-origin",
  }).catch((cause: unknown) => {
    throw networkError(cause);
  });
  if (response.ok) return adopt((await response.json()) as SignedIn);
  if (response.status === 401) {
    forget();
    return null;
  }
  throw problemOf(response, await response.json().catch(() => null));
}

function usable(grant: Grant | null, stale: string | undefined): grant is Grant {
  return grant !== null && grant.accessToken !== stale && grant.expiresAt - Date.now() > REFRESH_AHEAD_MS / 2;
}

async function refreshAlone(stale: string | undefined): Promise<Grant | null> {
  const attempt = async (): Promise<Grant | null> => {
    // Another tab may have been faster while we waited for the lock.
    const { grant } = credentials.getState();
    return stale !== undefined && usable(grant, stale) ? grant : requestRefresh();
  };
  // Plain HTTP on a local network has no locks; the server's grace for the previous token covers that race.
  return navigator.locks ? navigator.locks.request("oblivious.refresh", attempt) : attempt();
}

/**
 * A new access token, or null when the server says that nobody is signed in. `stale` is a token known to be refused:
 * when another tab has replaced it meanwhile, that one is answered without a request. Rejects when no answer came.
 */
export function refresh(stale = credentials.getState().grant?.accessToken): Promise<Grant | null> {
  refreshing ??= refreshAlone(stale).finally(() => {
    refreshing = null;
  });
  return refreshing;
}

/** A token that outlives the next request, or null when signed out. */
export async function freshToken(): Promise<string | null> {
  const { grant } = credentials.getState();
  if (grant === null) return null;
  if (grant.expiresAt - Date.now() > MIN_LIFE_MS) return grant.accessToken;
  return (await refresh(grant.accessToken))?.accessToken ?? null;
}

let started: Promise<void> | null = null;

/** Resolves when it is known whether somebody is signed in; asks the server at most once. */
export function whenKnown(): Promise<void> {
  started ??= start();
  return started;
}

async function start(): Promise<void> {
  if (credentials.getState().status !== "unknown") return;
  if (!maybeSignedIn()) return drop();
  try {
    await refresh();
  } catch (error) {
    // The next navigation asks again; until then the page shows what went wrong.
    started = null;
    throw error;
  }
}
