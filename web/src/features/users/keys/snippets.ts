/** Ready calls with a new key, as one pastes them into a terminal or a file. */
import type { Scope } from "./scopes";

export interface Snippet {
  readonly name: "curl" | "python";
  readonly text: string;
}

interface Call {
  /** The page's own origin. */
  origin: string;
  key: string;
  scopes: readonly Scope[];
  model: string;
}

/** Text as one word of a POSIX shell. */
function shell(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** JSON's strings are Python's too. */
const python = (text: string): string => JSON.stringify(text);

function curl({ origin, key, scopes, model }: Call): string {
  const authorization = `-H ${shell(`Authorization: Bearer ${key}`)}`;
  if (scopes.includes("chat")) {
    const body = JSON.stringify({ model, messages: [{ role: "user", content: "Hello!" }] });
    return [`curl ${shell(`${origin}/v1/chat/completions`)}`, authorization, `-H 'Content-Type: application/json'`, `-d ${shell(body)}`].join(" \\\n  ");
  }
  const path = scopes.includes("models") ? "/v1/models" : "/api/v1/wallet";
  return [`curl ${shell(`${origin}${path}`)}`, authorization].join(" \\\n  ");
}

function openai({ origin, key, scopes, model }: Call): string {
  const client = ["from openai import OpenAI", "", `client = OpenAI(base_url=${python(`${origin}/v1`)}, api_key=${python(key)})`];
  if (!scopes.includes("chat")) return [...client, "for model in client.models.list():", "    print(model.id)"].join("\n");
  return [
    ...client,
    "stream = client.chat.completions.create(",
    `    model=${python(model)},`,
    `    messages=[{"role": "user", "content": "Hello!"}],`,
    "    stream=True,",
    ")",
    "for chunk in stream:",
    "    if chunk.choices:",
    `        print(chunk.choices[0].delta.content or "", end="", flush=True)`,
  ].join("\n");
}

/** What the key may do, shown by a call that it may make. */
export function snippetsOf(call: Call): Snippet[] {
  const compatible = call.scopes.includes("chat") || call.scopes.includes("models");
  const first: Snippet = { name: "curl", text: curl(call) };
  return compatible ? [first, { name: "python", text: openai(call) }] : [first];
}
