/** Who may call what, and the list of models. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import OpenAI from "openai";
import { asked, eventually, mark, MODEL, ownApi, says, sdk, User } from "./api.mjs";

describe("access", { concurrency: true }, () => {
  let user;
  let client;
  before(async () => {
    user = await User.create();
    client = await user.client();
  });

  function refusal(type, status, code) {
    return (error) => {
      assert.ok(error instanceof type, `${error}`);
      assert.equal(error.status, status);
      assert.equal(error.code, code);
      assert.deepEqual(Object.keys(error.error).sort(), ["code", "message", "param", "type"]);
      assert.ok(error.requestID, "a refusal carries its request id too");
      return true;
    };
  }

  it("an unknown key is an authentication error", async () => {
    await assert.rejects(sdk({ apiKey: "sk-nonsense" }).models.list(), refusal(OpenAI.AuthenticationError, 401, "invalid_api_key"));
  });

  it("a revoked key is refused at once", async () => {
    const key = await user.key();
    const own = sdk({ apiKey: key.key });
    await own.models.list();
    await ownApi("DELETE", `api-keys/${key.id}`, { token: user.token });
    await assert.rejects(own.models.list(), refusal(OpenAI.AuthenticationError, 401, "invalid_api_key"));
    const call = own.chat.completions.create({ model: MODEL, messages: says("[[say too late]]"), stream: true });
    await assert.rejects(call, refusal(OpenAI.AuthenticationError, 401, "invalid_api_key"));
  });

  it("an expired key is refused", async () => {
    const { key } = await user.key({ expires_at: new Date(Date.now() + 6_000).toISOString() });
    await sdk({ apiKey: key }).models.list();
    const error = await eventually(() => sdk({ apiKey: key }).models.list().then(() => null, (found) => found), (found) => found !== null);
    refusal(OpenAI.AuthenticationError, 401, "invalid_api_key")(error);
  });

  it("a key for one model sees and calls only that one", async () => {
    const own = sdk({ apiKey: (await user.key({ models: ["compat-odd"] })).key });
    assert.deepEqual((await own.models.list()).data.map((model) => model.id), ["compat-odd"]);
    const marked = mark();
    const call = own.chat.completions.create({ model: MODEL, messages: says(marked) });
    await assert.rejects(call, refusal(OpenAI.PermissionDeniedError, 403, "model_not_allowed"));
    assert.deepEqual(await asked(marked), []);
  });

  it("a key without the chat scope cannot chat", async () => {
    const own = sdk({ apiKey: (await user.key({ scopes: ["models"] })).key });
    const call = own.chat.completions.create({ model: MODEL, messages: says("[[say no]]") });
    await assert.rejects(call, refusal(OpenAI.PermissionDeniedError, 403, "scope_missing"));
  });

  it("an access token of the page works as a key", async () => {
    const answer = await sdk({ apiKey: user.token }).chat.completions.create({ model: MODEL, messages: says("[[say hello]]") });
    assert.equal(answer.choices[0].message.content, "hello");
  });

  it("the list of models has openai's shape", async () => {
    const models = Object.fromEntries((await client.models.list()).data.map((model) => [model.id, model]));
    const model = models[MODEL];
    assert.equal(model.object, "model");
    assert.equal(typeof model.created, "number");
    assert.equal(typeof model.owned_by, "string");
    assert.equal(model.context_window, 128_000);
    assert.equal((await client.models.retrieve("compat-odd")).id, "compat-odd");
    await assert.rejects(client.models.retrieve("gpt-unheard-of"), refusal(OpenAI.NotFoundError, 404, "model_not_found"));
  });

  for (const suffix of ["/v1", "/v1/", "/v1/v1"]) {
    it(`a base url that ends with ${suffix} works`, async () => {
      const { host } = new URL(client.baseURL);
      const own = await user.client({ baseURL: `http://${host}${suffix}` });
      const answer = await own.chat.completions.create({ model: MODEL, messages: says("[[say hello]]") });
      assert.equal(answer.choices[0].message.content, "hello");
    });
  }

  it("an unknown route is not found in openai's shape", async () => {
    await assert.rejects(client.get("/nonsense"), refusal(OpenAI.NotFoundError, 404, "unknown_url"));
  });
});
