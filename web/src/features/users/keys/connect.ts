/** How programs connect: the address that the SDKs of each dialect want, and a first call with each of them. */

export const DIALECTS = ["openai", "anthropic", "gemini"] as const;
export type Dialect = (typeof DIALECTS)[number];
export const SDKS = ["python", "node", "ai", "curl"] as const;
export type Sdk = (typeof SDKS)[number];

export interface Place {
  /** The page's own origin. */
  readonly origin: string;
  readonly model: string;
}

/** Stands where one's own key belongs. */
export const KEY = "YOUR_API_KEY";

/** OpenAI's SDKs want the version in the address, the others add it. */
export function baseUrlOf(dialect: Dialect, origin: string): string {
  return dialect === "openai" ? `${origin}/v1` : origin;
}

/** JSON's strings are those of Python and JavaScript, too. */
const quoted = (text: string): string => JSON.stringify(text);

/** Text as one word of a POSIX shell. */
function shell(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function curl(url: string, header: string, body: object): string {
  return [`curl ${shell(url)}`, `-H ${shell(header)}`, `-H 'Content-Type: application/json'`, `-d ${shell(JSON.stringify(body))}`].join(" \\\n  ");
}

const HELLO = `[{ role: "user", content: "Hello!" }]`;
const HELLO_PYTHON = `[{"role": "user", "content": "Hello!"}]`;

type Snippets = Partial<Record<Sdk, (place: Place) => string>>;

const OPENAI: Snippets = {
  python: ({ origin, model }) => `from openai import OpenAI

client = OpenAI(base_url=${quoted(baseUrlOf("openai", origin))}, api_key=${quoted(KEY)})
stream = client.chat.completions.create(
    model=${quoted(model)},
    messages=${HELLO_PYTHON},
    stream=True,
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)`,
  node: ({ origin, model }) => `import OpenAI from "openai";

const client = new OpenAI({ baseURL: ${quoted(baseUrlOf("openai", origin))}, apiKey: ${quoted(KEY)} });
const stream = await client.chat.completions.create({
  model: ${quoted(model)},
  messages: ${HELLO},
  stream: true,
});
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta.content ?? "");`,
  ai: ({ origin, model }) => `import { createOpenAI } from "@ai-sdk/openai";
import { streamText } from "ai";

const provider = createOpenAI({ baseURL: ${quoted(baseUrlOf("openai", origin))}, apiKey: ${quoted(KEY)} });
const { textStream } = streamText({ model: provider.chat(${quoted(model)}), prompt: "Hello!" });
for await (const text of textStream) process.stdout.write(text);`,
  curl: ({ origin, model }) =>
    curl(`${origin}/v1/chat/completions`, `Authorization: Bearer ${KEY}`, { model, messages: [{ role: "user", content: "Hello!" }] }),
};

const ANTHROPIC: Snippets = {
  python: ({ origin, model }) => `from anthropic import Anthropic

client = Anthropic(base_url=${quoted(origin)}, api_key=${quoted(KEY)})
with client.messages.stream(
    model=${quoted(model)},
    max_tokens=1024,
    messages=${HELLO_PYTHON},
) as stream:
    for text in stream.text_stream:
        print(text, end="", flush=True)`,
  node: ({ origin, model }) => `import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({ baseURL: ${quoted(origin)}, apiKey: ${quoted(KEY)} });
const stream = client.messages.stream({ model: ${quoted(model)}, max_tokens: 1024, messages: ${HELLO} });
stream.on("text", (text) => process.stdout.write(text));
await stream.finalMessage();`,
  curl: ({ origin, model }) =>
    curl(`${origin}/v1/messages`, `x-api-key: ${KEY}`, { model, max_tokens: 1024, messages: [{ role: "user", content: "Hello!" }] }),
};

const GEMINI: Snippets = {
  python: ({ origin, model }) => `from google import genai
from google.genai import types

client = genai.Client(api_key=${quoted(KEY)}, http_options=types.HttpOptions(base_url=${quoted(origin)}))
for chunk in client.models.generate_content_stream(model=${quoted(model)}, contents="Hello!"):
    print(chunk.text or "", end="", flush=True)`,
  node: ({ origin, model }) => `import { GoogleGenAI } from "@google/genai";

const client = new GoogleGenAI({ apiKey: ${quoted(KEY)}, httpOptions: { baseUrl: ${quoted(origin)} } });
const stream = await client.models.generateContentStream({ model: ${quoted(model)}, contents: "Hello!" });
for await (const chunk of stream) process.stdout.write(chunk.text ?? "");`,
  curl: ({ origin, model }) =>
    curl(`${origin}/v1beta/models/${encodeURIComponent(model)}:generateContent`, `x-goog-api-key: ${KEY}`, { contents: [{ parts: [{ text: "Hello!" }] }] }),
};

const SNIPPETS: Readonly<Record<Dialect, Snippets>> = { openai: OPENAI, anthropic: ANTHROPIC, gemini: GEMINI };

export interface FirstCall {
  readonly sdk: Sdk;
  readonly text: string;
}

/** A first call of `model` in `dialect`, with each SDK that speaks it. */
export function firstCalls(dialect: Dialect, place: Place): FirstCall[] {
  return SDKS.flatMap((sdk) => {
    const write = SNIPPETS[dialect][sdk];
    return write === undefined ? [] : [{ sdk, text: write(place) }];
  });
}
