import fc from "fast-check";
import { expect, test, vi } from "vitest";
import type { DeltaFrame, DoneFrame, ResetFrame } from "./frames";
import { LiveReplies } from "./replies";

const ids = { run_id: "run", session_id: "session", message_id: "message" };

function delta(offset: number, text: string, attempt = 1): DeltaFrame {
  return { type: "delta", ...ids, attempt, offset, text };
}

const reset = (attempt: number): ResetFrame => ({ type: "reset", ...ids, attempt });
const done: DoneFrame = { type: "done", ...ids, attempt: 1, status: "complete", error: null };

function immediate(): LiveReplies {
  return new LiveReplies((publish) => publish());
}

test("text is appended at its offset, in code points", () => {
  const replies = immediate();
  replies.apply(delta(0, "潮🌊"));
  replies.apply(delta(2, "!"));
  expect(replies.get("message")?.text).toBe("潮🌊!");
  expect(replies.cursors()).toEqual(["run:1:3"]);
});

test("what is already there is dropped, whole or in part", () => {
  const replies = immediate();
  replies.apply(delta(0, "a🌊c"));
  expect(replies.apply(delta(0, "a🌊"))).toBe("duplicate");
  expect(replies.apply(delta(1, "🌊cd"))).toBe("applied");
  expect(replies.get("message")?.text).toBe("a🌊cd");
});

test("a frame from beyond the end is a gap and changes nothing", () => {
  const replies = immediate();
  replies.apply(delta(0, "ab"));
  expect(replies.apply(delta(5, "x"))).toBe("gap");
  expect(replies.get("message")?.text).toBe("ab");
});

test("a lost attempt's text is cleared and its late frames are ignored", () => {
  const replies = immediate();
  replies.apply(delta(0, "old"));
  replies.apply(reset(2));
  expect(replies.get("message")?.text).toBe("");
  expect(replies.apply(delta(3, "older", 1))).toBe("duplicate");
  replies.apply(delta(0, "new", 2));
  expect(replies.get("message")?.text).toBe("new");
  expect(replies.cursors()).toEqual(["run:2:3"]);
});

test("a newer attempt starts empty even when its reset was missed", () => {
  const replies = immediate();
  replies.apply(delta(0, "old"));
  replies.apply(delta(0, "new", 2));
  expect(replies.get("message")?.text).toBe("new");
});

test("a finished reply keeps its text and is not resumed", () => {
  const replies = immediate();
  replies.apply(delta(0, "all"));
  replies.apply(done);
  expect(replies.get("message")).toMatchObject({ text: "all", end: { status: "complete" } });
  expect(replies.cursors()).toEqual([]);
});

test("subscribers hear once per frame, whatever came", () => {
  let publish: () => void = () => undefined;
  const replies = new LiveReplies((later) => {
    publish = later;
  });
  const listener = vi.fn<() => void>();
  replies.subscribe("message", listener);
  for (let at = 0; at < 10; at += 1) replies.apply(delta(at, "x"));
  expect(listener).not.toHaveBeenCalled();
  publish();
  expect(listener).toHaveBeenCalledTimes(1);
  expect(replies.get("message")?.text).toBe("xxxxxxxxxx");
});

test("subscribers of other messages hear nothing", () => {
  const replies = immediate();
  const listener = vi.fn<() => void>();
  replies.subscribe("another", listener);
  replies.apply(delta(0, "x"));
  expect(listener).not.toHaveBeenCalled();
});

test("after any cuts, repeats and resumes from the cursor the text is the same", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.array(fc.tuple(fc.nat(8), fc.nat(8))), (text, steps) => {
      const points = Array.from(text);
      const replies = immediate();
      for (const [back, length] of steps) {
        const have = replies.get("message")?.offset ?? 0;
        const from = Math.max(0, have - back);
        replies.apply(delta(from, points.slice(from, have + length).join("")));
      }
      const have = replies.get("message")?.offset ?? 0;
      replies.apply(delta(have, points.slice(have).join("")));
      expect(replies.get("message")?.text ?? "").toBe(text);
    }),
  );
});
