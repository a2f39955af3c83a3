/** Parameters, tools, reasoning and structured answers, both ways. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { asked, collect, mark, MODEL, says, textOf, User, USD } from "./api.mjs";

const PASSED_ON = {
  seed: 7,
  temperature: 0.3,
  logit_bias: { 50256: -100 },
  stop: ["\n", "END"],
  response_format: { type: "json_object" },
  tools: [{ type: "function", function: { name: "now", parameters: { type: "object", properties: {} } } }],
  tool_choice: { type: "function", function: { name: "now" } },
  parallel_tool_calls: false,
  reasoning_effort: "low",
  metadata: { team: "blue" },
  user: "user-1",
  prompt_cache_key: "prefix-1",
  service_tier: "default",
};
const TWO_CALLS = '[[call weather {"city": "Köln"}]] [[call weather {"city": "北京"}]]';
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };

describe("chat completions", { concurrency: true }, () => {
  let client;
  before(async () => {
    client = await (await User.create(100n * USD)).client();
  });
  const create = (prompt, options = {}) => client.chat.completions.create({ model: MODEL, messages: says(prompt), ...options });

  for (const stream of [false, true]) {
    it(`every known parameter arrives unchanged, stream ${stream}`, async () => {
      const marked = mark();
      const answer = await create(`${marked} [[say ok]]`, { ...PASSED_ON, stream });
      if (stream) await collect(answer);
      const [{ body }] = await asked(marked);
      assert.deepEqual(Object.fromEntries(Object.keys(PASSED_ON).map((name) => [name, body[name]])), PASSED_ON);
      assert.equal(body.model, "upstream-1");
    });

    it(`two choices come with their numbers, stream ${stream}`, async () => {
      const answer = await create("[[say twice]]", { n: 2, stream });
      const texts = ["", ""];
      if (stream) for await (const { choices } of answer) for (const choice of choices) texts[choice.index] += choice.delta.content ?? "";
      else for (const choice of answer.choices) texts[choice.index] = choice.message.content;
      assert.deepEqual(texts, ["twice", "twice"]);
    });
  }

  it("an unknown parameter is no failure", async () => {
    const answer = await create("[[say ok]]", { x_unheard_of: { deep: [1] } });
    assert.equal(answer.choices[0].message.content, "ok");
  });

  it("images and content parts arrive as they are", async () => {
    const marked = mark();
    const content = [
      { type: "text", text: `${marked} [[say a picture]]` },
      { type: "image_url", image_url: { url: "data:image/png;base64,iVBORw0KGgo=", detail: "low" } },
    ];
    const messages = [{ role: "system", content: "Be brief." }, { role: "user", content }];
    const answer = await client.chat.completions.create({ model: MODEL, messages });
    assert.equal(answer.choices[0].message.content, "a picture");
    assert.deepEqual((await asked(marked))[0].body.messages, messages);
  });

  it("a structured answer is parsed", async () => {
    const Place = z.object({ city: z.string(), people: z.number() });
    const format = { response_format: zodResponseFormat(Place, "place") };
    const messages = says('[[say {"city": "Köln", "people": 1087353}]]');
    const answer = await client.chat.completions.parse({ model: MODEL, messages, ...format });
    assert.deepEqual(answer.choices[0].message.parsed, { city: "Köln", people: 1_087_353 });
    const streamed = await client.chat.completions.stream({ model: MODEL, messages, ...format }).finalChatCompletion();
    assert.deepEqual(streamed.choices[0].message.parsed, { city: "Köln", people: 1_087_353 });
  });

  it("streamed calls of tools have numbers from 0, also after reasoning, and end with tool_calls", async () => {
    const tools = [{ type: "function", function: { name: "weather", parameters } }];
    const chunks = await collect(await create(`[[think Look outside.]] ${TWO_CALLS}`, { tools, stream: true }));
    const calls = chunks.flatMap(({ choices }) => choices[0]?.delta.tool_calls ?? []);
    assert.deepEqual([...new Set(calls.map((call) => call.index))], [0, 1]);
    assert.deepEqual(calls.filter((call) => call.id).map((call) => [call.index, call.id, call.function.name]),
      [[0, "call_1", "weather"], [1, "call_2", "weather"]]);
    const argumentsOf = (index) => calls.filter((call) => call.index === index).map((call) => call.function.arguments ?? "").join("");
    assert.deepEqual([0, 1].map((index) => JSON.parse(argumentsOf(index))), [{ city: "Köln" }, { city: "北京" }]);
    assert.equal(chunks.findLast(({ choices }) => choices[0]?.finish_reason).choices[0].finish_reason, "tool_calls");
  });

  for (const stream of [false, true]) {
    it(`the SDK runs tools and brings their results back, stream ${stream}`, async () => {
      const seen = [];
      const weather = { name: "weather", description: "The weather of a city.", parameters, parse: JSON.parse,
        function: ({ city }) => { seen.push(city); return `${city}: 21 degrees`; } };
      const runner = client.chat.completions.runTools({ model: MODEL, messages: says(TWO_CALLS), stream,
        tools: [{ type: "function", function: weather }] });
      assert.equal(await runner.finalContent(), "The tools answered: Köln: 21 degrees; 北京: 21 degrees");
      assert.deepEqual(seen, ["Köln", "北京"]);
    });
  }

  it("reasoning is told apart from the answer", async () => {
    const prompt = "[[think First I think.]] [[say Then I speak.]]";
    const { message } = (await create(prompt)).choices[0];
    assert.deepEqual([message.reasoning_content, message.content], ["First I think.", "Then I speak."]);
    const chunks = await collect(await create(prompt, { stream: true }));
    assert.equal(chunks.map((chunk) => chunk.choices[0]?.delta.reasoning_content ?? "").join(""), "First I think.");
    assert.equal(textOf(chunks), "Then I speak.");
  });
});
