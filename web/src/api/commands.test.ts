import { http, HttpResponse } from "msw";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { server } from "@/test/server";
import { api } from "./client";
import { once } from "./commands";

const PATH = "*/api/v1/sessions/:id/messages";
const sent = { message_id: "m", reply_id: "r", run_id: "u" };

beforeEach(() => vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"], shouldAdvanceTime: true, advanceTimeDelta: 500 }));
afterEach(() => vi.useRealTimers());

function send(): Promise<typeof sent> {
  return once<typeof sent>(() =>
    api.POST("/api/v1/sessions/{id}/messages", {
      params: { path: { id: "s" }, header: { "Idempotency-Key": "key" } },
      body: { content: "hello" },
    }),
  );
}

test("a lost answer is asked for again under the same key", async () => {
  const keys: (string | null)[] = [];
  server.use(
    http.post(PATH, ({ request }) => {
      keys.push(request.headers.get("idempotency-key"));
      return keys.length === 1 ? HttpResponse.error() : HttpResponse.json(sent, { status: 201 });
    }),
  );
  expect(await send()).toEqual(sent);
  expect(keys).toEqual(["key", "key"]);
});

test("a slow command is waited for, then its answer is fetched under the same key", async () => {
  let posts = 0;
  let polls = 0;
  server.use(
    http.post(PATH, () => {
      posts += 1;
      return posts === 1 ? HttpResponse.json({ command_id: "c", status: "pending" }, { status: 202 }) : HttpResponse.json(sent, { status: 201 });
    }),
    http.get("*/api/v1/commands/c", () => {
      polls += 1;
      return HttpResponse.json({ command_id: "c", status: polls < 2 ? "pending" : "done" });
    }),
  );
  expect(await send()).toEqual(sent);
  expect([posts, polls]).toEqual([2, 2]);
});

test("a refusal is final", async () => {
  let posts = 0;
  server.use(
    http.post(PATH, () => {
      posts += 1;
      return HttpResponse.json({ status: 422, code: "message_too_long", detail: "", request_id: "q" }, { status: 422 });
    }),
  );
  await expect(send()).rejects.toMatchObject({ code: "message_too_long", requestId: "q", transient: false });
  expect(posts).toBe(1);
});

test("a full queue is told at once, with the wait it asks for", async () => {
  const headers = { "retry-after": "3" };
  server.use(http.post(PATH, () => HttpResponse.json({ status: 503, code: "queue_full", detail: "" }, { status: 503, headers })));
  await expect(send()).rejects.toMatchObject({ code: "queue_full", retryAfterSeconds: 3, transient: true });
});
