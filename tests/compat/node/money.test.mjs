/** Each call costs exactly tokens times prices; who goes away is charged for what was written. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import OpenAI from "openai";
import { asked, collect, cost, eventually, mark, MODEL, says, User, USD } from "./api.mjs";

const CASES = [
  ["plain", "[[usage 1000 500]]", { input: 1000, output: 500 }],
  ["all tiers", "[[usage 1001 503]] [[cached 999]] [[reasoning 502]]", { input: 1001, output: 503, cached: 999, reasoning: 502 }],
];

const settledOutcome = async (marked) =>
  (await eventually(() => asked(marked), (requests) => requests.length > 0 && requests.at(-1).outcome !== "in_flight")).at(-1).outcome;

describe("money", { concurrency: 4 }, () => {
  for (const [name, directives, tokens] of CASES) {
    for (const stream of [false, true]) {
      it(`a call costs exactly its tokens times their prices: ${name}, stream ${stream}`, async () => {
        const user = await User.create();
        const client = await user.client();
        const answer = await client.chat.completions.create({ model: MODEL, messages: says(`[[say ok]] ${directives}`), stream });
        if (stream) await collect(answer);
        const { balance, charges } = await user.settled(1);
        assert.equal(USD - balance, cost(MODEL, tokens));
        assert.deepEqual([charges[0].charged_nanos, charges[0].basis], [String(cost(MODEL, tokens)), "reported"]);
      });
    }
  }

  it("without credit a call is refused with one request, before anything is asked", async () => {
    const user = await User.create(0n);
    let requests = 0;
    const client = await user.client({ maxRetries: 2, fetch: (...call) => { requests += 1; return fetch(...call); } });
    const marked = mark();
    const call = client.chat.completions.create({ model: MODEL, messages: says(marked), stream: true });
    await assert.rejects(call, (error) => error instanceof OpenAI.RateLimitError && error.code === "insufficient_quota");
    assert.equal(requests, 1);
    assert.deepEqual(await asked(marked), []);
  });

  it("the bound shrinks to what credit covers", async () => {
    const user = await User.create(12_000_000n);
    const marked = mark();
    const client = await user.client();
    await client.chat.completions.create({ model: MODEL, messages: says(`${marked} [[say ok]]`), max_completion_tokens: 4_000 });
    const [{ body }] = await asked(marked);
    assert.ok(body.max_tokens >= 900 && body.max_tokens <= 1_000, `${body.max_tokens}`);
  });

  it("a stream that is left by break stops the provider and is charged for what was written", async () => {
    const user = await User.create();
    const marked = mark();
    const client = await user.client();
    const messages = says(`${marked} [[chunks 500]] [[delay 20]]`);
    let seen = 0;
    for await (const chunk of await client.chat.completions.create({ model: MODEL, messages, stream: true })) {
      seen += chunk.choices.length;
      if (seen > 10) break;
    }
    assert.equal(await settledOutcome(marked), "aborted");
    const { balance, charges } = await user.settled(1);
    assert.equal(USD - balance, BigInt(charges[0].charged_nanos));
    assert.ok(USD - balance >= cost(MODEL, { input: 1, output: 8 }));
    assert.notEqual(charges[0].basis, "reported");
  });

  it("a stream that is aborted before its first byte costs nothing", async () => {
    const user = await User.create();
    const marked = mark();
    const client = await user.client();
    const messages = says(`${marked} [[slow 60000]]`);
    const call = client.chat.completions.create({ model: MODEL, messages, stream: true }, { signal: AbortSignal.timeout(1_000) });
    await assert.rejects(call, OpenAI.APIUserAbortError);
    assert.equal(await settledOutcome(marked), "aborted");
    assert.equal((await eventually(() => user.wallet(), ({ held }) => held === 0n)).balance, USD);
  });
});
