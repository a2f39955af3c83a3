/** Failures of requests as one typed error, whatever went wrong (RFC 9457 answers, lost networks, time-outs). */
import type { Problem } from "./types";

export interface FieldProblem {
  field: string;
  code: string;
  message: string;
}

export class ApiError extends Error {
  override readonly name = "ApiError";
  constructor(
    /** The HTTP status; 0 when no answer arrived. */
    readonly status: number,
    /** Stable: `invalid_credentials`, `queue_full`, … and our own `network`. */
    readonly code: string,
    /** A sentence a person can act on, in the server's language. */
    readonly detail: string,
    readonly requestId: string | null,
    readonly fields: readonly FieldProblem[] = [],
    /** How long the server asks us to wait. */
    readonly retryAfterSeconds: number | null = null,
    /** What the code is about, as far as the server tells: amounts, limits. */
    readonly data: Readonly<Record<string, unknown>> = {},
  ) {
    super(`${code}: ${detail}`);
  }

  /** Whether the same request may succeed later without a change. */
  get transient(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

function isProblem(body: unknown): body is Problem {
  return typeof body === "object" && body !== null && "code" in body && "status" in body;
}

/** The error of a refused answer; `body` is its parsed JSON where there is one. */
export function problemOf(response: Response, body: unknown): ApiError {
  const retryAfter = Number(response.headers.get("retry-after") ?? Number.NaN);
  const wait = Number.isFinite(retryAfter) ? retryAfter : null;
  const requestId = response.headers.get("x-request-id");
  if (!isProblem(body)) {
    return new ApiError(response.status, `http_${response.status}`, response.statusText, requestId, [], wait);
  }
  const detail = body.detail ?? body.title;
  return new ApiError(response.status, body.code, detail, body.request_id ?? requestId, body.errors ?? [], wait, body.data ?? {});
}

/** The error of a request that got no answer. */
export function networkError(cause: unknown): ApiError {
  if (cause instanceof ApiError) return cause;
  const error = new ApiError(0, "network", cause instanceof Error ? cause.message : String(cause), null);
  error.cause = cause;
  return error;
}
