import { expect, test } from "vitest";
import type { Channel } from "@/features/operations/types";
import { draftOf } from "../channels/draft";
import { differencesOf, importsOf, rateChanges } from "./import";
import { inForce, momentOf, priceChange } from "./price-change";

const at = "2026-11-01T00:00:00Z";

function channel(id: string, ...names: string[]): Channel {
  const models = names.map((name) => ({
    name, upstream: name, context_tokens: null, max_output_tokens: null,
    prices: { input: "2", output: "4" }, costs: { input: "1", output: "2" }, price_version: 1, upcoming: [],
  }));
  return {
    id, name: id, provider: "openai", base_url: null, key_hints: [], models, enabled: true, created_at: at, updated_at: at,
    keys: [], priority: 0, weight: 1, groups: [], limits: {}, drain: null, public_name: null, probe: "list",
    parameters: [], headers: [], proxy: null, tags: [], note: "", version: 4,
  };
}

test("what differs is told rate by rate", () => {
  const long = [{ above_input_tokens: 9, rates: { input: "1", output: "1" } }];
  expect(rateChanges({ input: "1", output: "2" }, { input: "1.0", output: "2.00" })).toEqual([]);
  expect(rateChanges({ input: "1", output: "2" }, { input: "1.5", output: "2", cached_input: "0.1", long })).toEqual([
    { rate: "input", before: "1.00", after: "1.50" },
    { rate: "cached_input", before: "", after: "0.10" },
    { rate: "long", before: "0", after: "1" },
  ]);
});

test("models that cost already what the list says are counted, not shown", () => {
  const channels = [channel("a", "x", "y"), channel("b", "x")];
  const found = (channel_id: string, model: string, input: string) => ({ channel_id, model, costs: { input, output: "2" }, prices: null });
  const { changed, same } = differencesOf({ source: "s", models: [found("a", "x", "1"), found("a", "y", "3"), found("b", "x", "4")], unknown: [] }, channels);
  expect(same).toBe(1);
  expect(changed.map(({ key, costs, prices }) => [key, costs.length, prices.length])).toEqual([["a y", 1, 0], ["b x", 1, 0]]);
  expect(importsOf(changed, { factor: "2" })).toEqual([
    { factor: "2", channels: ["a"], models: ["y"] },
    { factor: "2", channels: ["b"], models: ["x"] },
  ]);
});

test("a price is compared with what applies when it begins", () => {
  const [model] = channel("a", "x").models;
  if (model === undefined) throw new Error("a model");
  const later = { from: "2027-01-01T00:00:00Z", prices: { input: "3", output: "4" }, costs: model.costs, price_version: 2 };
  const known = { ...model, upcoming: [later] };
  expect(inForce(known, null).prices.input).toBe("2");
  expect(inForce(known, Date.parse("2027-06-01")).prices.input).toBe("3");
  const [draft] = draftOf({ ...channel("a"), models: [known] }).models;
  if (draft === undefined) throw new Error("a draft");
  expect(priceChange(known, draft, null)).toBeNull();
  const from = new Date("2027-06-01T00:00:00Z");
  expect(priceChange(known, draft, from)).toEqual({ model: "x", prices: { input: "2.00", output: "4.00" }, from: "2027-06-01T00:00:00.000Z" });
});

test("a moment that is over is none", () => {
  const now = new Date("2026-11-22T12:00:00Z");
  expect(momentOf("2026-11-22T11:00:00Z", now)).toBeNull();
  expect(momentOf("nonsense", now)).toBeNull();
  expect(momentOf("2026-11-23T00:00:00Z", now)?.toISOString()).toBe("2026-11-23T00:00:00.000Z");
});
