/** Google's own SDK against the house, whose provider speaks another dialect. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { ApiError, GoogleGenAI, Type } from "@google/genai";
import { FACTS, MODEL, User, asked, collect, cost, eventually, mark, ownModel, USD } from "./api.mjs";

const WEATHER = {
  functionDeclarations: [{
    name: "weather", description: "The weather of a city.",
    parameters: { type: Type.OBJECT, properties: { city: { type: Type.STRING } }, required: ["city"] },
  }],
};
const CALL = '[[call weather {"city": "北京"}]]';

const sdk = (apiKey) => new GoogleGenAI({ apiKey, httpOptions: { baseUrl: FACTS.house, timeout: 60_000 } });
const textOf = (pieces) => pieces.map((piece) => piece.text ?? "").join("");

let gemini;
before(async () => {
  gemini = sdk((await (await User.create(100n * USD)).key()).key);
});

const ask = (contents, config) => gemini.models.generateContent({ model: MODEL, contents, config });

test("a chat tells its text, its end and what is charged", async () => {
  const user = await User.create();
  const models = sdk((await user.key()).key).models;
  const answer = await models.generateContent({ model: MODEL, contents: "[[say Hello, 世界]] [[usage 70 30]]" });
  assert.equal(answer.text, "Hello, 世界");
  assert.equal(answer.candidates[0].finishReason, "STOP");
  assert.deepEqual([answer.usageMetadata.promptTokenCount, answer.usageMetadata.candidatesTokenCount], [70, 30]);
  const { balance } = await user.settled(1);
  assert.equal(USD - balance, cost(MODEL, { input: 70, output: 30 }));
});

test("a stream comes piece by piece, also after a long wait with pings", async () => {
  const stream = await gemini.models.generateContentStream({ model: MODEL, contents: "[[slow 11000]] [[say one two three]]" });
  const pieces = await collect(stream);
  assert.equal(textOf(pieces), "one two three");
  assert.ok(pieces.length > 1);
});

test("a tool is called and its result reaches the model", async () => {
  const said = { role: "user", parts: [{ text: `${mark()} ${CALL}` }] };
  const first = await ask([said], { tools: [WEATHER] });
  assert.deepEqual(first.functionCalls.map(({ name, args }) => [name, args]), [["weather", { city: "北京" }]]);
  const result = { role: "user", parts: [{ functionResponse: { name: "weather", response: { result: "rain" } } }] };
  const answer = await ask([said, first.candidates[0].content, result], { tools: [WEATHER] });
  assert.match(answer.text, /rain/);
});

test("a structured answer is asked for by its schema", async () => {
  const marked = mark();
  const responseSchema = { type: Type.OBJECT, properties: { city: { type: Type.STRING } }, required: ["city"] };
  const answer = await ask(`${marked} [[say {"city": "Köln"}]]`, { responseMimeType: "application/json", responseSchema });
  assert.deepEqual(JSON.parse(answer.text), { city: "Köln" });
  const [request] = await asked(marked);
  assert.deepEqual(request.body.response_format.json_schema.schema.required, ["city"]);
});

test("tokens are counted and models are listed", async () => {
  const { totalTokens } = await gemini.models.countTokens({ model: MODEL, contents: "How many tokens are these?" });
  assert.ok(totalTokens > 5);
  const names = (await collect(await gemini.models.list({ config: { pageSize: 1 } }))).map((model) => model.name);
  assert.ok(names.includes("models/compat-1") && names.includes("models/compat-odd"), names.join());
});

test("refusals have their status", async () => {
  const status = async (models, model, contents) => {
    const error = await models.generateContent({ model, contents }).then(() => assert.fail("it is refused"), (error) => error);
    assert.ok(error instanceof ApiError, String(error));
    return error.status;
  };
  assert.equal(await status(gemini.models, MODEL, "[[error 400 unsupported_value temperature]]"), 400);
  assert.equal(await status(gemini.models, await ownModel(), "[[error 429]] [[retry-after 20]]"), 429);
  assert.equal(await status(gemini.models, "unheard-of", "Hi"), 404);
  assert.equal(await status(sdk("sk-nonsense").models, MODEL, "Hi"), 401);
});

test("a stream that is aborted stops the provider and is charged", async () => {
  const [user, marked, abort] = [await User.create(), mark(), new AbortController()];
  const stream = await sdk((await user.key()).key).models.generateContentStream({
    model: MODEL, contents: `${marked} [[chunks 500]] [[delay 20]]`, config: { abortSignal: abort.signal },
  });
  await assert.rejects(async () => {
    for await (const _ of stream) abort.abort();
  });
  await eventually(() => asked(marked), (requests) => requests[0]?.outcome === "aborted");
  await user.settled(1);
});
