/** The SDKs of OpenAI and Google with providers of every dialect; the provider says what it saw and refuses what the real ones do. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { GoogleGenAI, Type } from "@google/genai";
import { FACTS, PIXEL, SEEN, UPSTREAMS, User, USD, asked, collect, mark, ownModel, says, sdk } from "./api.mjs";

const CALLS = '[[think It may rain.]] [[call weather {"city": "Köln"}]] [[call weather {"city": "北京"}]]';
const CITIES = [{ city: "Köln" }, { city: "北京" }];
const RESULT = "The tools answered: rain 0; rain 1";
const PARAMETERS = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };
const FILLED = { city: "filled" };
const URL = `data:image/png;base64,${PIXEL.toString("base64")}`;

/** Each client under its name: a function from a key and a model to what it can do. */
const CLIENTS = {
  chat: (apiKey, model) => {
    const { completions } = sdk({ apiKey }).chat;
    const ask = async (messages, options = {}) => (await completions.create({ model, messages, ...options })).choices[0].message;
    return {
      tell: async (prompt) => (await ask(says(prompt))).content,
      stream: async (prompt) => (await completions.stream({ model, messages: says(prompt) }).finalContent()),
      turn: async (prompt) => {
        const tools = [{ type: "function", function: { name: "weather", parameters: PARAMETERS } }];
        const first = (await completions.stream({ model, messages: says(prompt), tools }).finalMessage());
        const told = first.tool_calls.map(({ id }, number) => ({ role: "tool", tool_call_id: id, content: `rain ${number}` }));
        const calls = first.tool_calls.map((call) => JSON.parse(call.function.arguments));
        return [calls, (await ask([...says(prompt), first, ...told], { tools })).content];
      },
      look: async () => (await ask([{ role: "user", content: [{ type: "text", text: "[[look]]" }, { type: "image_url", image_url: { url: URL } }] }])).content,
      fill: async () => {
        const response_format = { type: "json_schema", json_schema: { name: "city", strict: true, schema: PARAMETERS } };
        return JSON.parse((await ask(says("[[fill]]"), { response_format })).content);
      },
    };
  },
  responses: (apiKey, model) => {
    const { responses } = sdk({ apiKey });
    const kept = { model, store: false, include: ["reasoning.encrypted_content"] };
    return {
      tell: async (input) => (await responses.create({ ...kept, input })).output_text,
      stream: async (input) => {
        const { status, error, output_text } = await responses.stream({ ...kept, input }).finalResponse();
        // A response that failed is an answer to this SDK.
        assert.equal(status, "completed", error?.message);
        return output_text;
      },
      turn: async (prompt) => {
        const tools = [{ type: "function", name: "weather", parameters: PARAMETERS, strict: true }];
        const said = { role: "user", content: prompt };
        const first = await responses.stream({ ...kept, input: [said], tools }).finalResponse();
        const asks = first.output.filter(({ type }) => type === "function_call");
        const told = asks.map(({ call_id }, number) => ({ type: "function_call_output", call_id, output: `rain ${number}` }));
        const second = await responses.create({ ...kept, input: [said, ...first.output, ...told], tools });
        return [asks.map((call) => JSON.parse(call.arguments)), second.output_text];
      },
      look: async () => {
        const content = [{ type: "input_text", text: "[[look]]" }, { type: "input_image", image_url: URL, detail: "auto" }];
        return (await responses.create({ ...kept, input: [{ role: "user", content }] })).output_text;
      },
      fill: async () => {
        const text = { format: { type: "json_schema", name: "city", strict: true, schema: PARAMETERS } };
        return JSON.parse((await responses.create({ ...kept, input: "[[fill]]", text })).output_text);
      },
    };
  },
  gemini: (apiKey, model) => {
    const { models } = new GoogleGenAI({ apiKey, httpOptions: { baseUrl: FACTS.house, timeout: 60_000 } });
    const ask = (contents, config) => models.generateContent({ model, contents, config });
    const pieces = async (contents, config) => collect(await models.generateContentStream({ model, contents, config }));
    return {
      tell: async (prompt) => (await ask(prompt)).text,
      stream: async (prompt) => (await pieces(prompt)).map((piece) => piece.text ?? "").join(""),
      turn: async (prompt) => {
        const parameters = { type: Type.OBJECT, properties: { city: { type: Type.STRING } }, required: ["city"] };
        const config = { tools: [{ functionDeclarations: [{ name: "weather", parameters }] }], thinkingConfig: { includeThoughts: true } };
        const said = { role: "user", parts: [{ text: prompt }] };
        const parts = (await pieces([said], config)).flatMap((piece) => piece.candidates[0].content.parts ?? []);
        const calls = parts.filter((part) => part.functionCall).map((part) => part.functionCall);
        const told = calls.map(({ id, name }, number) => ({ functionResponse: { id, name, response: { output: `rain ${number}` } } }));
        const second = await ask([said, { role: "model", parts }, { role: "user", parts: told }], config);
        return [calls.map(({ args }) => args), second.text];
      },
      look: async () => (await ask([{ text: "[[look]]" }, { inlineData: { mimeType: "image/png", data: PIXEL.toString("base64") } }])).text,
      fill: async () => JSON.parse((await ask("[[fill]]", { responseMimeType: "application/json", responseJsonSchema: PARAMETERS })).text),
    };
  },
};

let key;
before(async () => {
  ({ key } = await (await User.create(100n * USD)).key());
});

for (const [name, connect] of Object.entries(CLIENTS)) {
  for (const [upstream, [, , model]] of Object.entries(UPSTREAMS)) {
    const client = () => connect(key, model);

    test(`${name} with ${upstream}: an answer is told whole and streamed`, async () => {
      assert.equal(await client().tell("[[say Hello, 世界]]"), "Hello, 世界");
      assert.equal(await client().stream("[[say Hello, 世界]]"), "Hello, 世界");
    });

    test(`${name} with ${upstream}: tools are called at once and their results lead to an answer`, async () => {
      const marked = mark();
      assert.deepEqual(await client().turn(`${marked} ${CALLS}`), [CITIES, RESULT]);
      assert.deepEqual((await asked(marked)).map(({ fault }) => fault), [false, false]);
    });

    test(`${name} with ${upstream}: a picture and a schema arrive as they were sent`, async () => {
      assert.equal(await client().look(), SEEN);
      assert.deepEqual(await client().fill(), FILLED);
    });

    test(`${name} with ${upstream}: a stream that breaks is a failure`, async () => {
      const own = connect(key, await ownModel(upstream));
      await assert.rejects(() => own.stream("[[chunks 9]] [[cut 3]]"));
    });
  }
}
