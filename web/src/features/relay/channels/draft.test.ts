import { expect, test } from "vitest";
import type { Channel } from "@/features/operations/types";
import { NO_RATES } from "../rates/rates";
import { draftOf, emptyChannel, keysOf, problemsOf, type ChannelDraft } from "./draft";
import { emptyModel } from "./model-draft";
import { emptyHeader, emptyParameter } from "./settings-draft";
import { change, creation } from "./write";

const channel: Channel = {
  id: "c1",
  name: "Main",
  provider: "openai",
  base_url: "https://api.example.org/v1",
  key_hints: ["abcd"],
  keys: [{ name: "k1", hint: "abcd", suspended: null }, { name: "k2", hint: "wxyz", suspended: null }], priority: 0, weight: 1, groups: [], limits: {}, drain: null, public_name: null, probe: "list",
  parameters: [], headers: [], proxy: null, tags: [], note: "", version: 4,
  models: [
    {
      name: "fast",
      upstream: "fast-2026",
      context_tokens: 128_000,
      max_output_tokens: null,
      prices: { input: "2.50", output: "10" },
      costs: { input: "1.25", output: "5", cached_input: "0.6" },
      price_version: 3, upcoming: [],
    },
  ],
  enabled: true,
  created_at: "2026-11-01T00:00:00Z",
  updated_at: "2026-11-01T00:00:00Z",
};

function typed(changes: Partial<ChannelDraft["models"][number]>): ChannelDraft {
  const draft = draftOf(channel);
  return { ...draft, models: draft.models.map((model) => ({ ...model, ...changes })) };
}

test("a channel that was only looked at changes nothing", () => {
  expect(change(draftOf(channel), channel)).toBeNull();
});

test("a price that is written differently but equal gets no new version", () => {
  expect(change(typed({ prices: { ...NO_RATES, input: "2.5", output: "10.00", cached_input: "", reasoning: "" } }), channel)).toBeNull();
});

test("only the changed price is sent, with all of its tiers", () => {
  const draft = typed({ prices: { ...NO_RATES, input: "3", output: "10", cached_input: "１．５", reasoning: "" } });
  expect(change(draft, channel)).toEqual({ prices: { fast: { input: "3.00", output: "10.00", cached_input: "1.50" } } });
});

test("a renamed model carries its prices and costs along", () => {
  expect(change(typed({ name: "quick" }), channel)).toEqual({
    models: [{ name: "quick", upstream: "fast-2026", context_tokens: 128_000 }],
    prices: { quick: { input: "2.50", output: "10.00" } },
    costs: { quick: { input: "1.25", output: "5.00", cached_input: "0.60" } },
  });
});

test("everything that is known of a model is in the form, and looking at it changes nothing", () => {
  const [model] = channel.models;
  if (model === undefined) throw new Error("a model");
  const rich: Channel = {
    ...channel,
    models: [
      {
        ...model,
        strategy: "lowest_cost",
        fallbacks: { general: ["other", "another"] },
        capabilities: ["chat", "tools"],
        input_modalities: ["text", "image"],
        prices: { ...model.prices, cache_write: "3.1", per_request: "0.01", long: [{ above_input_tokens: 200_000, rates: { input: "5", output: "20" } }] },
      },
    ],
  };
  expect(change(draftOf(rich), rich)).toBeNull();
  const draft = draftOf(rich);
  const models = draft.models.map((each) => ({ ...each, max_output_tokens: "100", prices: { ...each.prices, input: "3" } }));
  expect(change({ ...draft, models }, rich)).toEqual({
    models: [
      {
        name: "fast", upstream: "fast-2026", context_tokens: 128_000, max_output_tokens: 100, strategy: "lowest_cost",
        fallbacks: { general: ["other", "another"] }, capabilities: ["chat", "tools"], input_modalities: ["image", "text"],
      },
    ],
    prices: {
      fast: {
        input: "3.00", output: "10.00", cache_write: "3.10", per_request: "0.01",
        long: [{ above_input_tokens: 200_000, rates: { input: "5.00", output: "20.00" } }],
      },
    },
  });
});

test("keys that stay are named, new ones are typed one a line and each once", () => {
  const draft = draftOf(channel);
  expect(change({ ...draft, keys: "  \n" }, channel)).toBeNull();
  expect(change({ ...draft, keys: "sk-1\r\nsk-2\n\nsk-1 " }, channel)).toEqual({ keys: [{ keep: "k1" }, { keep: "k2" }, "sk-1", "sk-2"] });
  expect(change({ ...draft, kept: draft.kept.slice(1) }, channel)).toEqual({ keys: [{ keep: "k2" }] });
  expect(keysOf("")).toEqual([]);
});

test("of the settings only those that differ are sent", () => {
  const draft = draftOf(channel);
  const settings = { ...draft.settings, priority: "10", limits: { ...draft.settings.limits, parallel: "８" }, tags: "fast, eu,fast" };
  expect(change({ ...draft, settings }, channel)).toEqual({ priority: 10, limits: { parallel: 8 }, tags: ["eu", "fast"] });
});

test("a secret header stays unless it is typed anew, and a proxy is only told where it changes", () => {
  const said: Channel = {
    ...channel,
    headers: [{ name: "X-Team", value: null, secret: true }, { name: "X-Plain", value: "a", secret: false }],
    proxy: "http://proxy.example",
    drain: { seconds: 5, tokens: 100 },
    parameters: [{ action: "set", path: "temperature", value: 0.2 }, { action: "rename", from: "a", to: "b" }],
  };
  const draft = draftOf(said);
  expect(change(draft, said)).toBeNull();
  const [first, second] = draft.settings.headers;
  if (first === undefined || second === undefined) throw new Error("two headers");
  const headers = [first, { ...second, value: "b" }, { ...emptyHeader(), name: "X-New", value: "n" }];
  expect(change({ ...draft, settings: { ...draft.settings, headers, proxy: "", drain: null } }, said)).toEqual({
    headers: [{ name: "X-Team", secret: true }, { name: "X-Plain", value: "b", secret: false }, { name: "X-New", value: "n", secret: true }],
    proxy: null,
    drain: null,
  });
});

test("settings that cannot be are named with their reasons", () => {
  const draft = draftOf(channel);
  const settings = {
    ...draft.settings,
    priority: "1001",
    weight: "some",
    limits: { requests_per_minute: "0", tokens_per_minute: "", parallel: "" },
    drain: { seconds: "", tokens: "1" },
    parameters: [{ ...emptyParameter(), path: "reasoning_effort", value: "high" }, { ...emptyParameter(), action: "rename" as const, path: "a" }],
    headers: [{ ...emptyHeader(), name: "a b", value: "x" }, { ...emptyHeader(), name: "X-A" }, { ...emptyHeader(), name: "x-a", value: "1" }],
    proxy: "ftp://x",
  };
  expect(problemsOf({ ...draft, settings }, channel)).toEqual({
    priority: "not_within",
    weight: "not_whole",
    "limits.requests_per_minute": "not_within",
    "drain.seconds": "missing",
    "parameters.0.value": "not_json",
    "parameters.1.to": "missing",
    "headers.0.name": "not_a_name",
    "headers.1.value": "missing",
    "headers.2.name": "taken_twice",
    proxy: "not_a_proxy",
  });
});

test("an address may be the provider's own, unless each installation has another or one was said before", () => {
  const draft = { ...emptyChannel(), name: "x", models: draftOf(channel).models };
  expect(problemsOf(draft)).toEqual({});
  expect(creation(draft)).not.toHaveProperty("base_url");
  expect(problemsOf({ ...draft, provider: "azure_openai" })).toEqual({ base_url: "missing" });
  expect(problemsOf({ ...draftOf(channel), base_url: "" }, channel)).toEqual({ base_url: "missing" });
});

test("a new channel leaves out what was left empty, and costs that are not known are zero", () => {
  const draft = {
    ...emptyChannel(),
    name: " Mine ",
    base_url: "http://127.0.0.1:9/v1",
    models: [{ ...emptyModel(), name: "m", prices: { ...NO_RATES, input: "1.", output: "２", cached_input: "", reasoning: "3" } }],
  };
  expect(problemsOf(draft)).toEqual({});
  expect(creation(draft)).toEqual({
    name: "Mine",
    provider: "openai",
    base_url: "http://127.0.0.1:9/v1",
    models: [{ name: "m" }],
    prices: { m: { input: "1.00", output: "2.00", reasoning: "3.00" } },
    costs: { m: { input: "0.00", output: "0.00" } },
    enabled: false,
  });
});

test("a local channel sends neither an address nor keys", () => {
  const draft = { ...emptyChannel(), provider: "local" as const, name: "Local", base_url: "https://x.org", keys: "k" };
  expect(creation(draft)).not.toHaveProperty("base_url");
  expect(creation(draft)).not.toHaveProperty("keys");
});

test("every field that cannot be sent is named with its reason", () => {
  const draft = {
    ...emptyChannel(),
    base_url: "ftp://example.org",
    models: [
      { ...emptyModel(), name: "a", prices: { ...NO_RATES, input: "", output: "1,5", cached_input: "-1", reasoning: "" } },
      { ...emptyModel(), name: "a", context_tokens: "4k", prices: { ...NO_RATES, input: "1", output: "1", cached_input: "", reasoning: "" } },
    ],
  };
  expect(problemsOf(draft)).toEqual({
    name: "missing",
    base_url: "not_a_url",
    "models.0.prices.input": "missing",
    "models.0.prices.output": "not_a_number",
    "models.0.prices.cached_input": "negative",
    "models.1.name": "taken_twice",
    "models.1.context_tokens": "not_whole",
  });
  expect(problemsOf({ ...draft, name: "x", base_url: "https://a.b", models: [] })).toEqual({ models: "missing" });
});
