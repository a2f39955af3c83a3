/** What an import of a price list would change, model by model and rate by rate. */
import type { Channel, ImportedPrices, ImportPrices, Rates } from "@/features/operations/types";
import { FALLBACK, FEES, ratesDraft, sameRates, TIERS, type Fee, type Tier } from "../rates/rates";

export interface RateChange {
  readonly rate: Tier | Fee | "long";
  /** Empty where nothing was or will be said of it. */
  readonly before: string;
  readonly after: string;
}

export interface Difference {
  /** Tells rows apart: channel and model. */
  readonly key: string;
  readonly channel: Channel;
  readonly model: string;
  readonly costs: readonly RateChange[];
  readonly prices: readonly RateChange[];
}

/** The lists for long inputs and nothing else. */
function longOnly({ long }: Rates): Rates {
  return { input: "0", output: "0", ...(long === undefined ? {} : { long }) };
}

/** Rate by rate; lists for long inputs count as one. */
export function rateChanges(before: Rates, after: Rates): RateChange[] {
  if (sameRates(before, after)) return [];
  const [old, next] = [ratesDraft(before), ratesDraft(after)];
  const main = TIERS.filter((tier) => !(tier in FALLBACK));
  const finer = TIERS.filter((tier) => tier in FALLBACK);
  const changed = [...main, ...finer, ...FEES]
    .filter((rate) => old[rate] !== next[rate])
    .map((rate): RateChange => ({ rate, before: old[rate], after: next[rate] }));
  if (sameRates(longOnly(before), longOnly(after))) return changed;
  return [...changed, { rate: "long", before: old.long.length.toString(), after: next.long.length.toString() }];
}

export interface Differences {
  readonly changed: readonly Difference[];
  /** Models that cost already what the list says. */
  readonly same: number;
}

export function differencesOf({ models }: ImportedPrices, channels: readonly Channel[]): Differences {
  const changed: Difference[] = [];
  let same = 0;
  for (const found of models) {
    const channel = channels.find(({ id }) => id === found.channel_id);
    const model = channel?.models.find(({ name }) => name === found.model);
    if (channel === undefined || model === undefined) continue;
    const costs = rateChanges(model.costs, found.costs);
    const prices = found.prices == null ? [] : rateChanges(model.prices, found.prices);
    if (costs.length + prices.length === 0) same += 1;
    else changed.push({ key: `${channel.id} ${model.name}`, channel, model: model.name, costs, prices });
  }
  return { changed, same };
}

/** One import for each channel, of exactly the chosen models. */
export function importsOf(chosen: readonly Difference[], terms: Pick<ImportPrices, "factor" | "from">): ImportPrices[] {
  const models = new Map<string, string[]>();
  for (const { channel, model } of chosen) models.set(channel.id, [...(models.get(channel.id) ?? []), model]);
  return [...models].map(([channel, names]) => ({ ...terms, channels: [channel], models: names }));
}
