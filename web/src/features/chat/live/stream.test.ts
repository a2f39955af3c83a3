import { http, HttpResponse } from "msw";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { server } from "@/test/server";
import type { Frame } from "./frames";
import { backoffMs, EventStream, type Connection, type StreamEvents } from "./stream";

const URL_PATH = "*/api/v1/events/stream";
let stream: EventStream | null = null;

beforeEach(() => vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"], shouldAdvanceTime: true }));
afterEach(() => {
  stream?.stop();
  vi.useRealTimers();
});

function body(text: string, end: boolean): HttpResponse<ReadableStream> {
  const readable = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(new TextEncoder().encode(text));
      if (end) controller.close();
    },
  });
  return new HttpResponse(readable, { headers: { "content-type": "text/event-stream" } });
}

function open(events: Partial<StreamEvents>): { frames: Frame[]; states: Connection[] } {
  const frames: Frame[] = [];
  const states: Connection[] = [];
  stream = new EventStream({
    cursors: () => [],
    frame: (frame) => void frames.push(frame),
    connection: (state) => void states.push(state),
    ...events,
  });
  stream.start();
  return { frames, states };
}

const delta = 'event: delta\ndata: {"run_id":"r","message_id":"m","session_id":"s","attempt":1,"offset":0,"text":"a"}\n\n';

test("frames arrive typed; unknown kinds and broken data are passed over", async () => {
  server.use(http.get(URL_PATH, () => body(`event: later\ndata: {}\n\nevent: delta\ndata: {\n\n${delta}`, false)));
  const { frames } = open({});
  await vi.waitFor(() => expect(frames).toHaveLength(1));
  expect(frames[0]).toMatchObject({ type: "delta", text: "a" });
});

test("an end that nobody asked for reconnects, with the cursors of that moment", async () => {
  const asked: string[][] = [];
  server.use(
    http.get(URL_PATH, ({ request }) => {
      asked.push(new URL(request.url).searchParams.getAll("resume"));
      return body(delta, asked.length === 1);
    }),
  );
  let cursors: string[] = [];
  open({
    cursors: () => cursors,
    frame: () => {
      cursors = ["r:1:1", "q:2:7"];
    },
  });
  await vi.waitFor(() => expect(asked).toEqual([[], ["r:1:1", "q:2:7"]]));
});

test("a refused connection is tried again", async () => {
  let calls = 0;
  server.use(
    http.get(URL_PATH, () => {
      calls += 1;
      return calls < 3 ? HttpResponse.error() : body(delta, false);
    }),
  );
  const { frames, states } = open({});
  await vi.waitFor(() => expect(frames).toHaveLength(1), { timeout: 5_000 });
  expect(states.at(-1)).toBe("open");
});

test("twenty seconds of silence end a connection that looks alive", async () => {
  let calls = 0;
  server.use(
    http.get(URL_PATH, () => {
      calls += 1;
      return body(": hi\n\n", false);
    }),
  );
  open({});
  await vi.waitFor(() => expect(calls).toBe(1));
  await vi.advanceTimersByTimeAsync(19_000);
  expect(calls).toBe(1);
  await vi.advanceTimersByTimeAsync(2_000);
  await vi.waitFor(() => expect(calls).toBe(2));
});

test("a network that comes back ends the wait", async () => {
  let calls = 0;
  server.use(
    http.get(URL_PATH, () => {
      calls += 1;
      return HttpResponse.error();
    }),
  );
  open({});
  await vi.waitFor(() => expect(calls).toBeGreaterThan(4), { timeout: 5_000 });
  const before = calls;
  dispatchEvent(new Event("online"));
  await vi.waitFor(() => expect(calls).toBeGreaterThan(before), { timeout: 500 });
});

test("waits double up to a limit and are never in step", () => {
  expect(backoffMs(1, 0)).toBe(125);
  expect(backoffMs(1, 1)).toBe(250);
  expect(backoffMs(3, 1)).toBe(1_000);
  expect(backoffMs(50, 1)).toBe(15_000);
});
