/** What of a channel takes no or few calls now. */
import type { Channel, ChannelHealth } from "@/features/operations/types";

const GRAVITY = { dead: 0, open: 1, half_open: 2 } as const;
const PARTS = { channel: 0, key: 1, model: 2 } as const;

/** Of this channel, the whole before its parts and the worst first. A void key is told where keys are told. */
export function ailmentsOf(channel: Channel, health: readonly ChannelHealth[]): ChannelHealth[] {
  const isVoid = ({ part, name }: ChannelHealth): boolean => part === "key" && channel.keys.some((key) => key.name === name && key.suspended != null);
  return health
    .filter((each) => each.channel_id === channel.id && !isVoid(each))
    .sort((one, other) => PARTS[one.part] - PARTS[other.part] || GRAVITY[one.state] - GRAVITY[other.state] || (one.name ?? "").localeCompare(other.name ?? ""));
}
