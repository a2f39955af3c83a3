/** The typed client of the server's API. Paths and bodies are checked against `schema.d.ts`. */
import createClient from "openapi-fetch";
import { problemOf } from "./problem";
import type { paths } from "./schema";
import { authorisedInTime } from "./transport";

export const api = createClient<paths>({ baseUrl: location.origin, fetch: authorisedInTime });

/** The body of a successful answer; anything else rejects with an `ApiError`. */
export async function unwrap<T>(call: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  const { data, error, response } = await call;
  if (!response.ok) throw problemOf(response, error);
  return data as T;
}
