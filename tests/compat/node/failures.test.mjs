/** Every failure is the SDK's own exception. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import OpenAI from "openai";
import { FACTS, MODEL, ownModel, says, User, USD } from "./api.mjs";

describe("failures", { concurrency: true }, () => {
  let client;
  before(async () => {
    client = await (await User.create(100n * USD)).client();
  });

  async function failure(prompt, options = {}) {
    const model = /\[\[error (429|5)/.test(prompt) ? await ownModel() : MODEL;
    const call = client.chat.completions.create({ model, messages: says(prompt), ...options });
    const error = await call.then(() => assert.fail("it was answered"), (found) => found);
    assert.deepEqual(Object.keys(error.error).sort(), ["code", "message", "param", "type"]);
    return error;
  }

  it("a model that does not exist", async () => {
    const error = await failure("hi", { model: "gpt-unheard-of" });
    assert.ok(error instanceof OpenAI.NotFoundError);
    assert.equal(error.code, "model_not_found");
  });

  it("no messages at all", async () => {
    const error = await failure("hi", { messages: undefined });
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.deepEqual([error.type, error.param], ["invalid_request_error", "messages"]);
  });

  it("a body over the limit", async () => {
    const error = await failure("x".repeat(FACTS.max_body_bytes));
    assert.deepEqual([error.status, error.code], [413, "body_too_large"]);
  });

  for (const stream of [false, true]) {
    it(`a refusal of the provider keeps its code and parameter, stream ${stream}`, async () => {
      const error = await failure("[[error 400 context_length_exceeded messages]]", { stream });
      assert.ok(error instanceof OpenAI.BadRequestError);
      assert.deepEqual([error.code, error.param], ["context_length_exceeded", "messages"]);
    });

    it(`the provider's rate limit says when to come again, stream ${stream}`, async () => {
      const error = await failure("[[error 429 rate_limit_exceeded]] [[retry-after 7]]", { stream });
      assert.ok(error instanceof OpenAI.RateLimitError);
      assert.deepEqual([error.code, error.headers.get("retry-after")], ["rate_limit_exceeded", "7"]);
    });

    it(`a failure of the provider is one of the server, stream ${stream}`, async () => {
      assert.ok((await failure("[[error 500]]", { stream })) instanceof OpenAI.InternalServerError);
    });
  }
});
