/** Every model that some channel offers, and whether a call for its name would go there. */
import { marginPermille } from "@/features/operations/decimal";
import type { Channel, ChannelModel } from "@/features/operations/types";

export interface Offer {
  readonly channel: Channel;
  readonly model: ChannelModel;
  /** `served`: calls go here. `behind`: an older channel takes them. `off`: the channel is disabled. */
  readonly state: "served" | "behind" | "off";
}

/** By name, then by the age of the channel. `channels` come oldest first: the first enabled one serves a name. */
export function offersOf(channels: readonly Channel[]): Offer[] {
  const taken = new Set<string>();
  const offers = channels.flatMap((channel) =>
    channel.models.map((model): Offer => {
      if (!channel.enabled) return { channel, model, state: "off" };
      const state = taken.has(model.name) ? "behind" : "served";
      taken.add(model.name);
      return { channel, model, state };
    }),
  );
  return offers.sort((one, other) => one.model.name.localeCompare(other.model.name));
}

export interface Margins {
  readonly input: number | null;
  readonly output: number | null;
}

/** What is left of the prices after the costs, in tenths of a percent. */
export function marginsOf({ prices, costs }: ChannelModel): Margins {
  return { input: marginPermille(prices.input, costs.input), output: marginPermille(prices.output, costs.output) };
}
