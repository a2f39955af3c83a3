import { expect, test } from "vitest";
import type { Channel } from "@/features/operations/types";
import { marginsOf, offersOf } from "./offers";

const rates = { input: "2", output: "4" };

function channel(id: string, enabled: boolean, ...names: string[]): Channel {
  const models = names.map((name) => ({
    name,
    upstream: name,
    context_tokens: null,
    max_output_tokens: null,
    prices: rates,
    costs: { input: "1", output: "5" },
    price_version: 1, upcoming: [],
  }));
  const at = "2026-11-01T00:00:00Z";
  return {
    id, name: id, provider: "openai", base_url: null, key_hints: [], models, enabled, created_at: at, updated_at: at,
    keys: [], priority: 0, weight: 1, groups: [], limits: {}, drain: null, public_name: null, probe: "list",
    parameters: [], headers: [], proxy: null, tags: [], note: "", version: 4,
  };
}

test("the enabled channels of the highest priority serve a model, others stand behind them or are off", () => {
  const above = { ...channel("a", false, "x"), priority: 9 };
  const below = { ...channel("d", true, "x"), priority: -1 };
  const offers = offersOf([above, channel("b", true, "y", "x"), channel("c", true, "x"), below]);
  expect(offers.map((offer) => [offer.model.name, offer.channel.id, offer.state])).toEqual([
    ["x", "a", "off"],
    ["x", "b", "served"],
    ["x", "c", "served"],
    ["x", "d", "behind"],
    ["y", "b", "served"],
  ]);
});

test("margins say where money is lost", () => {
  const [offer] = offersOf([channel("a", true, "x")]);
  expect(offer && marginsOf(offer.model)).toEqual({ input: 500, output: -250 });
});
