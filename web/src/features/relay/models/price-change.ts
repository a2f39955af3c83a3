/** A change of one model's prices and costs: at once or from an instant on, of what differs alone. */
import type { ChannelModel, NewModelPrice, Rates } from "@/features/operations/types";
import { ratesOf, sameRates, type RatesDraft } from "../rates/rates";

export const KINDS = ["prices", "costs"] as const;
export type Kind = (typeof KINDS)[number];

/** What applies at `from` (milliseconds since the epoch; null is now): the last list that has begun by then. */
export function inForce(model: ChannelModel, from: number | null): Record<Kind, Rates> {
  const begun = from === null ? [] : model.upcoming.filter((price) => Date.parse(price.from) <= from);
  const { prices, costs } = begun.at(-1) ?? model;
  return { prices, costs };
}

/** The request for what differs from what would apply then; null when nothing does. */
export function priceChange(model: ChannelModel, rates: Record<Kind, RatesDraft>, from: Date | null): NewModelPrice | null {
  const before = inForce(model, from?.getTime() ?? null);
  const next = KINDS.map((kind) => [kind, ratesOf(rates[kind])] as const).filter(([kind, list]) => !sameRates(list, before[kind]));
  if (next.length === 0) return null;
  return { model: model.name, ...Object.fromEntries(next), ...(from === null ? {} : { from: from.toISOString() }) };
}

/** The moment of a field for date and time, in the reader's zone; null for one that is missing or over. */
export function momentOf(text: string, now: Date): Date | null {
  const moment = new Date(text);
  return Number.isNaN(moment.getTime()) || moment <= now ? null : moment;
}
