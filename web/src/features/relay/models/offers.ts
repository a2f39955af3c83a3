/** Every model that some channel offers, and whether a call for its name would go there. */
import { marginPermille } from "@/features/operations/decimal";
import type { Channel, ChannelModel } from "@/features/operations/types";

export interface Offer {
  readonly channel: Channel;
  readonly model: ChannelModel;
  /** `served`: calls go here. `behind`: only where no channel of a higher priority can. `off`: the channel is disabled. */
  readonly state: "served" | "behind" | "off";
}

/** By name, then by preference: `channels` come the preferred ones first. */
export function offersOf(channels: readonly Channel[]): Offer[] {
  const highest = new Map<string, number>();
  for (const { enabled, models, priority } of channels) {
    if (enabled) for (const { name } of models) highest.set(name, Math.max(priority, highest.get(name) ?? priority));
  }
  const offers = channels.flatMap((channel) =>
    channel.models.map((model): Offer => {
      if (!channel.enabled) return { channel, model, state: "off" };
      return { channel, model, state: channel.priority < (highest.get(model.name) ?? channel.priority) ? "behind" : "served" };
    }),
  );
  return offers.sort((one, other) => one.model.name.localeCompare(other.model.name));
}

export interface Margins {
  readonly input: number | null;
  readonly output: number | null;
}

/** What is left of the prices after the costs, in tenths of a percent. */
export function marginsOf({ prices, costs }: Pick<ChannelModel, "prices" | "costs">): Margins {
  return { input: marginPermille(prices.input, costs.input), output: marginPermille(prices.output, costs.output) };
}
