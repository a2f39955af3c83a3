import { expect, test } from "vitest";
import type { Channel } from "@/features/operations/types";
import { change, creation, draftOf, emptyChannel, emptyModel, keysOf, problemsOf, type ChannelDraft } from "./draft";

const channel: Channel = {
  id: "c1",
  name: "Main",
  provider: "openai",
  base_url: "https://api.example.org/v1",
  key_hints: ["abcd"],
  keys: [], priority: 0, weight: 1, groups: [], limits: {}, drain: null,
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
  expect(change(typed({ prices: { input: "2.5", output: "10.00", cached_input: "", reasoning: "" } }), channel)).toBeNull();
});

test("only the changed price is sent, with all of its tiers", () => {
  const draft = typed({ prices: { input: "3", output: "10", cached_input: "１．５", reasoning: "" } });
  expect(change(draft, channel)).toEqual({ prices: { fast: { input: "3.00", output: "10.00", cached_input: "1.50" } } });
});

test("a renamed model carries its prices and costs along", () => {
  expect(change(typed({ name: "quick" }), channel)).toEqual({
    models: [{ name: "quick", upstream: "fast-2026", context_tokens: 128_000 }],
    prices: { quick: { input: "2.50", output: "10.00" } },
    costs: { quick: { input: "1.25", output: "5.00", cached_input: "0.60" } },
  });
});

test("what the form does not show of a model stays as it is", () => {
  const [model] = channel.models;
  if (model === undefined) throw new Error("a model");
  const rich: Channel = {
    ...channel,
    models: [{ ...model, strategy: "lowest_cost", prices: { ...model.prices, cache_write: "3.1", per_request: "0.01" } }],
  };
  expect(change(draftOf(rich), rich)).toBeNull();
  const [draft] = draftOf(rich).models;
  if (draft === undefined) throw new Error("a draft");
  const prices = { input: "3", output: "10", cached_input: "", reasoning: "" };
  const changed = { ...draftOf(rich), models: [{ ...draft, max_output_tokens: "100", prices }] };
  expect(change(changed, rich)).toEqual({
    models: [{ name: "fast", upstream: "fast-2026", context_tokens: 128_000, max_output_tokens: 100, strategy: "lowest_cost" }],
    prices: { fast: { input: "3.00", output: "10.00", cache_write: "3.1", per_request: "0.01" } },
  });
});

test("keys are kept unless new ones are typed, one a line and each once", () => {
  expect(change({ ...draftOf(channel), keys: "  \n" }, channel)).toBeNull();
  expect(change({ ...draftOf(channel), keys: "sk-1\r\nsk-2\n\nsk-1 " }, channel)).toEqual({ keys: ["sk-1", "sk-2"] });
  expect(keysOf("")).toEqual([]);
});

test("a new channel leaves out what was left empty, and costs that are not known are zero", () => {
  const draft = {
    ...emptyChannel(),
    name: " Mine ",
    base_url: "http://127.0.0.1:9/v1",
    models: [{ ...emptyModel(), name: "m", prices: { input: "1.", output: "２", cached_input: "", reasoning: "3" } }],
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
      { ...emptyModel(), name: "a", prices: { input: "", output: "1,5", cached_input: "-1", reasoning: "" } },
      { ...emptyModel(), name: "a", context_tokens: "4k", prices: { input: "1", output: "1", cached_input: "", reasoning: "" } },
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
