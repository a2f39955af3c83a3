import { delay, http, HttpResponse } from "msw";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { server } from "@/test/server";
import { adopt, credentials, forget, freshToken, refresh, whenKnown } from "./credentials";
import { authorised } from "./transport";
import { ApiError } from "./problem";

const user = { id: "u1", email: "a@b.c", username: "a", role: "user" as const, created_at: "2026-01-01T00:00:00Z" };

function signedIn(token: string, expires_in = 900) {
  return { user, access_token: token, refresh_token: null, expires_in };
}

function refreshAnswers(...answers: (() => Response)[]): { count: () => number } {
  let calls = 0;
  server.use(
    http.post("*/api/v1/auth/refresh", async () => {
      const answer = answers[Math.min(calls, answers.length - 1)];
      calls += 1;
      await delay(5);
      return answer?.();
    }),
  );
  return { count: () => calls };
}

const granted = (token: string) => () => HttpResponse.json(signedIn(token));
const refused = () => HttpResponse.json({ status: 401, code: "invalid_refresh_token", detail: "" }, { status: 401 });

beforeEach(() => credentials.setState({ status: "unknown", grant: null }, true));
afterEach(() => forget());

test("a first visit asks nothing: there is no sign of a cookie", async () => {
  await whenKnown();
  expect(credentials.getState().status).toBe("signed-out");
});

test("many at once refresh once", async () => {
  const calls = refreshAnswers(granted("t1"));
  const grants = await Promise.all([refresh(), refresh(), refresh()]);
  expect(grants.map((grant) => grant?.accessToken)).toEqual(["t1", "t1", "t1"]);
  expect(calls.count()).toBe(1);
});

test("the token is nowhere but in memory", async () => {
  adopt(signedIn("secret-token"));
  expect(JSON.stringify({ ...localStorage })).not.toContain("secret-token");
  expect(document.cookie).not.toContain("secret-token");
});

test("a refused refresh signs out; a lost network does not", async () => {
  adopt(signedIn("t1"));
  server.use(http.post("*/api/v1/auth/refresh", () => HttpResponse.error()));
  await expect(refresh()).rejects.toBeInstanceOf(ApiError);
  expect(credentials.getState().status).toBe("signed-in");
  refreshAnswers(refused);
  expect(await refresh()).toBeNull();
  expect(credentials.getState().status).toBe("signed-out");
});

test("a token about to expire is renewed before the request leaves", async () => {
  refreshAnswers(granted("t2"));
  adopt(signedIn("t1", 2));
  expect(await freshToken()).toBe("t2");
});

test("a token is renewed about a minute before its end", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
  const calls = refreshAnswers(granted("t2"));
  adopt(signedIn("t1", 900));
  await vi.advanceTimersByTimeAsync(829_000);
  expect(calls.count()).toBe(0);
  await vi.advanceTimersByTimeAsync(12_000);
  vi.useRealTimers();
  await vi.waitFor(() => expect(credentials.getState().grant?.accessToken).toBe("t2"));
});

test("a 401 refreshes and sends the same request once more", async () => {
  refreshAnswers(granted("t2"));
  adopt(signedIn("t1"));
  const seen: string[] = [];
  server.use(
    http.post("*/api/v1/echo", async ({ request }) => {
      seen.push(`${request.headers.get("authorization")} ${await request.text()}`);
      return request.headers.get("authorization") === "Bearer t2" ? HttpResponse.json({}) : refused();
    }),
  );
  const response = await authorised(new Request(`${location.origin}/api/v1/echo`, { method: "POST", body: "hello" }));
  expect(response.status).toBe(200);
  expect(seen).toEqual(["Bearer t1 hello", "Bearer t2 hello"]);
});

test("a 401 that persists is answered, not repeated for ever", async () => {
  const calls = refreshAnswers(granted("t2"));
  adopt(signedIn("t1"));
  server.use(http.get("*/api/v1/me", refused));
  expect((await authorised(new Request(`${location.origin}/api/v1/me`))).status).toBe(401);
  expect(calls.count()).toBe(1);
});

test("reads wait for what this tab has written", async () => {
  adopt(signedIn("t1"));
  const after: (string | null)[] = [];
  server.use(
    http.patch("*/api/v1/sessions/1", () => HttpResponse.json({}, { headers: { "x-event": "session:1:4" } })),
    http.get("*/api/v1/sessions", ({ request }) => {
      after.push(request.headers.get("x-after"));
      return HttpResponse.json({});
    }),
  );
  await authorised(new Request(`${location.origin}/api/v1/sessions`));
  await authorised(new Request(`${location.origin}/api/v1/sessions/1`, { method: "PATCH", body: "{}" }));
  await authorised(new Request(`${location.origin}/api/v1/sessions`));
  expect(after).toEqual([null, "session:1:4"]);
});

test("signing out in another tab signs out here", async () => {
  adopt(signedIn("t1"));
  const otherTab = new BroadcastChannel("oblivious.credentials");
  otherTab.postMessage({ type: "signed-out" });
  await vi.waitFor(() => expect(credentials.getState().status).toBe("signed-out"));
  otherTab.close();
});

test("a token that another tab fetched is adopted", async () => {
  const otherTab = new BroadcastChannel("oblivious.credentials");
  otherTab.postMessage({ type: "grant", grant: { accessToken: "t9", expiresAt: Date.now() + 900_000, user } });
  await vi.waitFor(() => expect(credentials.getState().grant?.accessToken).toBe("t9"));
  otherTab.close();
});
