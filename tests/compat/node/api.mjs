/**
 * The house that the tests talk to: its own API, its users with their money, and what it asked of its provider.
 * Each user is new and nobody else's, so tests share no money and no keys and run at the same time.
 */
import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import OpenAI from "openai";

export const FACTS = JSON.parse(process.env.OBLIVIOUS_COMPAT);
export const MODEL = "compat-1";
/** How a channel reaches the provider in each of its dialects: kind, path, and the model that speaks it, here and there. */
export const UPSTREAMS = {
  chat: ["openai", "/v1", MODEL, "upstream-1"],
  responses: ["azure_openai", "/v1", "compat-codex", "gpt-6-codex"],
  messages: ["anthropic", "/v1", "compat-claude", "claude-opus-5"],
  gemini: ["gemini", "/v1beta", "compat-gemini", "gemini-3-pro"],
};
/** Nanos. */
export const USD = 1_000_000_000n;
const PATIENCE_MS = 30_000;

export async function ownApi(method, path, { body, token, idempotent = false } = {}) {
  const headers = { "content-type": "application/json" };
  if (token !== undefined) headers.authorization = `Bearer ${token}`;
  if (idempotent) headers["idempotency-key"] = randomUUID();
  const answer = await fetch(`${FACTS.house}/api/v1/${path}`, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
  return text === "" ? null : JSON.parse(text);
}

const login = async (account) => (await ownApi("POST", "auth/login", { body: account })).access_token;

let admin;
/** Once for all users: sign-ins of one account are counted. */
const adminToken = () => (admin ??= login(FACTS.admin));

export class User {
  /** A new account with that much credit. */
  static async create(creditNanos = USD) {
    const name = `n${randomUUID().replaceAll("-", "").slice(0, 16)}`;
    const account = { email: `${name}@example.org`, password: `${name} has a long password` };
    const { user } = await ownApi("POST", "auth/register", { body: { ...account, username: name } });
    if (creditNanos > 0n) {
      const body = { amount_nanos: String(creditNanos), reason: "compatibility test" };
      await ownApi("POST", `admin/users/${user.id}/grants`, { body, token: await adminToken(), idempotent: true });
    }
    return new User(await login(account));
  }

  constructor(token) {
    this.token = token;
  }

  /** A new API key as `{id, key, …}`. */
  key(options = {}) {
    return ownApi("POST", "api-keys", { body: { name: "test", ...options }, token: this.token });
  }

  /** An SDK client with a new key that does not repeat failed requests. */
  async client(options = {}) {
    return sdk({ apiKey: (await this.key()).key, ...options });
  }

  async wallet() {
    const wallet = await ownApi("GET", "wallet", { token: this.token });
    return { held: BigInt(wallet.held_nanos), balance: BigInt(wallet.balance_nanos) };
  }

  /** The wallet and the charges (newest first), once so many calls are settled and nothing is held. */
  settled(calls) {
    const look = async () => {
      const { items } = await ownApi("GET", "charges?limit=100", { token: this.token });
      return { ...(await this.wallet()), charges: items };
    };
    return eventually(look, ({ held, charges }) => held === 0n && charges.length >= calls);
  }
}

export function sdk(options) {
  return new OpenAI({ baseURL: `${FACTS.house}/v1`, maxRetries: 0, timeout: 60_000, ...options });
}

/** The name of a model that a new channel offers, for failures: a channel that failed rests. */
export async function ownModel(of = "chat") {
  const name = `own-${randomUUID().slice(0, 13)}`;
  const [provider, path, , upstream] = UPSTREAMS[of];
  const models = [{ name, upstream, context_tokens: 128000, max_output_tokens: 4096 }];
  const body = {
    name, provider, base_url: `${FACTS.provider}${path}`, keys: ["sk-mock-own-0000"], models, prices: { [name]: FACTS.prices[MODEL] },
  };
  const token = await adminToken();
  await ownApi("POST", "admin/channels", { body, token });
  const look = () => fetch(`${FACTS.house}/v1/models/${name}`, { headers: { authorization: `Bearer ${token}` } });
  await eventually(look, ({ status }) => status === 200);
  return name;
}

/** Text that only one test has in its prompts. */
export const mark = () => `#${randomUUID().slice(0, 13)}`;

/** The requests that arrived at the provider with this text in the last user message, oldest first. */
export async function asked(marked) {
  const answer = await fetch(`${FACTS.provider}/asked?${new URLSearchParams({ containing: marked })}`);
  return (await answer.json()).requests;
}

/** The first thing that `look` finds and `accept` takes. */
export async function eventually(look, accept) {
  const until = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await look();
    if (accept(found)) return found;
    assert.ok(Date.now() < until, `still not so after ${PATIENCE_MS} ms`);
    await pause(100);
  }
}

/** A picture of one pixel, and what the provider says of it when it is told to `[[look]]`. */
export const PIXEL = Buffer.from(
  "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63000100000500010d0a2db40000000049454e44ae426082",
  "hex",
);
export const SEEN = `I see image/png of ${PIXEL.length} bytes, ${createHash("sha256").update(PIXEL).digest("hex").slice(0, 16)}`;

/** What `model` costs its user in nanos where prices have at most three decimal places, so that nothing is rounded. */
export function cost(model, { input, output, cached = 0, reasoning = 0 }) {
  const rates = FACTS.prices[model];
  const nanos = (rate) => BigInt(Math.round(Number(rate) * 1000));
  return BigInt(input - cached) * nanos(rates.input) + BigInt(cached) * nanos(rates.cached_input)
    + BigInt(output - reasoning) * nanos(rates.output) + BigInt(reasoning) * nanos(rates.reasoning);
}

export const says = (content) => [{ role: "user", content }];

export async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

/** The text of the first choice. */
export const textOf = (chunks) => chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");
