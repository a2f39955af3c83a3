import fc from "fast-check";
import { expect, test } from "vitest";
import { SseParser, type ServerEvent } from "./sse";

function parse(chunks: string[]): ServerEvent[] {
  const parser = new SseParser();
  return chunks.flatMap((chunk) => parser.push(chunk));
}

test("an event carries its id, its kind and its data", () => {
  const events = parse(['id: r:1:5\nevent: delta\ndata: {"a":1}\n\n']);
  expect(events).toEqual([{ id: "r:1:5", event: "delta", data: '{"a":1}' }]);
});

test("comments and fields without data dispatch nothing", () => {
  expect(parse([": ping\n\n", "event: delta\n\n", "retry: 5\n\n"])).toEqual([]);
});

test("data lines are joined and one leading space is dropped", () => {
  expect(parse(["data:  a\ndata:b\n\n"])).toEqual([{ id: "", event: "message", data: " a\nb" }]);
});

test("an unfinished event waits for its end", () => {
  const parser = new SseParser();
  expect(parser.push("data: half")).toEqual([]);
  expect(parser.push(" and half\n")).toEqual([]);
  expect(parser.push("\n")).toHaveLength(1);
});

test("however the text is cut and its lines are ended, the events are the same", () => {
  const line = fc.constantFrom("data: 潮汐 🌊", "data: x", ": ping", "event: delta", "id: 1:2:3", "");
  const ending = fc.constantFrom("\n", "\r\n", "\r");
  fc.assert(
    fc.property(fc.array(line, { maxLength: 30 }), ending, fc.array(fc.nat(40)), (lines, end, cuts) => {
      const text = lines.map((each) => each + end).join("") + "data: last" + end + end + "\n";
      const chunks: string[] = [];
      let rest = text;
      for (const cut of cuts) {
        chunks.push(rest.slice(0, cut));
        rest = rest.slice(cut);
      }
      expect(parse([...chunks, rest])).toEqual(parse([text]));
      expect(parse([text])).toEqual(parse([text.replace(/\r\n|\r/g, "\n")]));
    }),
  );
});
