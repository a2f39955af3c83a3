/** Vercel's AI SDK, by the provider packages that speak each served API, with providers of every dialect. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { APICallError, Output, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { FACTS, PIXEL, SEEN, UPSTREAMS, User, USD, asked, eventually, mark, ownModel } from "./api.mjs";

/** Each served API under its name: a function from a key to its model. */
const APIS = {
  chat: (apiKey) => (model) => createOpenAI({ apiKey, baseURL: `${FACTS.house}/v1` }).chat(model),
  responses: (apiKey) => (model) => createOpenAI({ apiKey, baseURL: `${FACTS.house}/v1` }).responses(model),
  messages: (apiKey) => (model) => createAnthropic({ apiKey, baseURL: `${FACTS.house}/v1` })(model),
  gemini: (apiKey) => (model) => createGoogleGenerativeAI({ apiKey, baseURL: `${FACTS.house}/v1beta` })(model),
};
const PAIRS = Object.keys(APIS).flatMap((served) => Object.keys(UPSTREAMS).map((upstream) => [served, upstream]));

let key;
before(async () => {
  ({ key } = await (await User.create(100n * USD)).key());
});

for (const [served, upstream] of PAIRS) {
  const [name, api, MODEL] = [`${served} with ${upstream}`, APIS[served], UPSTREAMS[upstream][2]];
  const model = (of = MODEL) => api(key)(of);
  const once = { maxRetries: 0, maxOutputTokens: 500 };

  test(`${name}: a chat and a stream tell their text and usage`, async () => {
    const prompt = "[[say one two three]] [[usage 70 30]]";
    const whole = await generateText({ ...once, model: model(), prompt, system: "Be kind." });
    assert.deepEqual([whole.text, whole.finishReason], ["one two three", "stop"]);
    assert.deepEqual([whole.usage.inputTokens, whole.usage.outputTokens], [70, 30]);
    const stream = streamText({ ...once, model: model(), prompt });
    let text = "";
    for await (const piece of stream.textStream) text += piece;
    assert.deepEqual([text, await stream.finishReason], ["one two three", "stop"]);
    assert.deepEqual([(await stream.usage).inputTokens, (await stream.usage).outputTokens], [70, 30]);
  });

  test(`${name}: a tool is called and its result reaches the model, whole and streamed`, async () => {
    const weather = tool({
      description: "The weather of a city.",
      inputSchema: z.object({ city: z.string() }),
      execute: async ({ city }) => `rain in ${city}`,
    });
    const asking = { ...once, model: model(), tools: { weather }, stopWhen: stepCountIs(2) };
    const marked = mark();
    const prompt = `${marked} [[think It may rain.]] [[call weather {"city": "北京"}]] [[call weather {"city": "Köln"}]]`;
    assert.match((await generateText({ ...asking, prompt })).text, /rain in 北京.*rain in Köln/);
    const stream = streamText({ ...asking, prompt });
    await stream.consumeStream();
    assert.match(await stream.text, /rain in 北京.*rain in Köln/);
    assert.deepEqual((await asked(marked)).map(({ fault }) => fault), [false, false, false, false]);
  });

  test(`${name}: a picture reaches the model`, async () => {
    const content = [{ type: "text", text: "[[look]]" }, { type: "image", image: PIXEL, mediaType: "image/png" }];
    assert.equal((await generateText({ ...once, model: model(), messages: [{ role: "user", content }] })).text, SEEN);
  });

  test(`${name}: a structured answer follows the schema that the provider was given`, async () => {
    const output = Output.object({ schema: z.object({ city: z.string() }) });
    const answer = await generateText({ ...once, model: model(), output, prompt: "[[fill]]" });
    assert.deepEqual(answer.output, { city: "filled" });
  });

  test(`${name}: refusals are API errors with their status`, async () => {
    const status = async (options) => {
      const error = await generateText({ ...once, ...options }).then(() => assert.fail("it is refused"), (error) => error);
      assert.ok(APICallError.isInstance(error), String(error));
      return error.statusCode;
    };
    assert.equal(await status({ model: model(), prompt: "[[error 400 unsupported_value temperature]]" }), 400);
    assert.equal(await status({ model: model(await ownModel(upstream)), prompt: "[[error 429]] [[retry-after 20]]" }), 429);
    assert.equal(await status({ model: model("unheard-of"), prompt: "Hi" }), 404);
    assert.equal(await status({ model: api("sk-nonsense")(MODEL), prompt: "Hi" }), 401);
  });

  test(`${name}: a stream that is aborted stops the provider and is charged`, async () => {
    const [user, marked, abort] = [await User.create(), mark(), new AbortController()];
    const stream = streamText({
      ...once, model: api((await user.key()).key)(MODEL), prompt: `${marked} [[chunks 400]] [[delay 20]]`, abortSignal: abort.signal,
      onError: () => {},
    });
    for await (const _ of stream.textStream) abort.abort();
    await eventually(() => asked(marked), (requests) => requests[0]?.outcome === "aborted");
    await user.settled(1);
  });
}
