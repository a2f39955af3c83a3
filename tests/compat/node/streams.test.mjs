/** Streams as the SDK sees them: usage, headers, request ids, pings, failures in the middle. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import OpenAI from "openai";
import { collect, mark, MODEL, ownModel, says, textOf, User, USD } from "./api.mjs";

describe("streams", { concurrency: true }, () => {
  let client;
  before(async () => {
    client = await (await User.create(100n * USD)).client();
  });
  const stream = (prompt, options = {}, request = {}) =>
    client.chat.completions.create({ model: MODEL, messages: says(prompt), stream: true, ...options }, request);

  it("headers keep proxies from buffering and compressing, and the request id is taken over", async () => {
    const mine = `node-${mark().slice(1)}`;
    const { data, response, request_id: id } = await stream("[[say hi]]", {}, { headers: { "x-request-id": mine } }).withResponse();
    assert.equal(id, mine);
    assert.match(response.headers.get("content-type"), /^text\/event-stream/);
    assert.match(response.headers.get("cache-control"), /no-cache/);
    assert.equal(response.headers.get("x-accel-buffering"), "no");
    assert.equal(response.headers.get("content-encoding"), null);
    assert.equal(textOf(await collect(data)), "hi");
  });

  it("each answer has a request id of its own", async () => {
    const ids = await Promise.all([1, 2].map(async () =>
      (await client.chat.completions.create({ model: MODEL, messages: says("[[say ok]]") }))._request_id));
    assert.ok(ids[0] && ids[1] && ids[0] !== ids[1]);
  });

  for (const upstream of ["", "[[usage-merged]]", "[[usage-bare]]"]) {
    it(`usage comes once, last and only to who asked for it ${upstream}`, async () => {
      const prompt = `[[chunks 4]] [[usage 11 4]] ${upstream}`;
      const unasked = await collect(await stream(prompt));
      assert.ok(unasked.every((chunk) => chunk.choices.length === 1 && !chunk.usage));
      const chunks = await collect(await stream(prompt, { stream_options: { include_usage: true } }));
      const last = chunks.pop();
      assert.deepEqual([last.choices, last.usage.prompt_tokens, last.usage.completion_tokens, last.usage.total_tokens], [[], 11, 4, 15]);
      assert.ok(chunks.every((chunk) => chunk.choices.length === 1 && !chunk.usage));
    });
  }

  it("text whose bytes arrive split leaves whole", async () => {
    const said = "你好，世界 🦀 — naïve café";
    assert.equal(textOf(await collect(await stream(`[[say ${said}]] [[packets 5]]`))), said);
  });

  it("pings before the first byte are passed over", async () => {
    assert.equal(textOf(await collect(await stream("[[slow 11500]] [[say late]]"))), "late");
  });

  for (const mishap of ["[[cut 3]]", "[[garbage 3]]", "[[error-frame 3]]", "[[no-end]]"]) {
    it(`a stream that breaks after it began ends with an error that the SDK raises ${mishap}`, async () => {
      const model = await ownModel();
      let text = "";
      const reading = async () => {
        for await (const chunk of await stream(`[[chunks 9]] ${mishap}`, { model })) text += chunk.choices[0].delta.content ?? "";
      };
      await assert.rejects(reading, (error) => error instanceof OpenAI.APIError && error.code === "upstream_error");
      assert.notEqual(text, "");
    });
  }
});
