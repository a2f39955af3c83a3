/** Groups of users: the one that is always there, what a form may say, and which channels admit whom. */
import { formatDecimal, parseDecimal } from "@/features/operations/decimal";
import type { Channel, Group, GroupPatch, NewGroup } from "@/features/operations/types";
import type { DraftProblem } from "../problems";

/** The group of whoever is in no other. */
export const DEFAULT_GROUP = "default";
/** A thousand times the price. */
const MAX_FACTOR_NANOS = 1_000n * 1_000_000_000n;
const MAX_NAME = 40;
const MAX_TITLE = 80;

export interface GroupRow {
  readonly name: string;
  readonly title: string;
  readonly factor: string;
  /** Null of the group that nobody has made: everybody who is in no other is in it. */
  readonly users: number | null;
  readonly made: boolean;
}

/** All groups, `default` first and also where nobody has made it. */
export function withDefault(groups: readonly Group[]): GroupRow[] {
  const rows = groups.map(({ name, title, factor, users }): GroupRow => ({ name, title, factor, users, made: true }));
  const own = rows.find((row) => row.name === DEFAULT_GROUP) ?? { name: DEFAULT_GROUP, title: "", factor: "1", users: null, made: false };
  const others = rows.filter((row) => row.name !== DEFAULT_GROUP).sort((one, other) => one.name.localeCompare(other.name));
  return [own, ...others];
}

/** The channels that people of `group` may use. */
export function channelsFor(group: string, channels: readonly Channel[]): Channel[] {
  return channels.filter((channel) => channel.groups.length === 0 || channel.groups.includes(group));
}

/** What still uses a group, as the refusal to remove it says; null where it does not say so. */
export function usersOf(data: unknown): { users: number; channels: string[] } | null {
  if (typeof data !== "object" || data === null) return null;
  const { users, channels } = data as { users?: unknown; channels?: unknown };
  if (typeof users !== "number" || !Array.isArray(channels)) return null;
  return { users, channels: channels.map(String) };
}

export interface GroupDraft {
  readonly name: string;
  readonly title: string;
  readonly factor: string;
}

export function groupProblems({ name, title, factor }: GroupDraft): Partial<Record<keyof GroupDraft, DraftProblem>> {
  const parsed = parseDecimal(factor);
  const factorProblem = (): DraftProblem | null => {
    if (!parsed.ok) return parsed.problem;
    if (parsed.nanos < 0n) return "negative";
    return parsed.nanos > MAX_FACTOR_NANOS ? "not_within" : null;
  };
  const named = /^[a-z0-9_-]+$/.test(name.trim()) && name.trim().length <= MAX_NAME;
  const found = {
    name: name.trim() === "" ? "missing" : named ? null : "not_a_name",
    title: title.trim() === "" || title.trim().length > MAX_TITLE ? "missing" : null,
    factor: factorProblem(),
  } as const;
  return Object.fromEntries(Object.entries(found).filter(([, problem]) => problem !== null));
}

/** The exact decimal of a factor that was checked. */
export function factorOf(text: string): string {
  const parsed = parseDecimal(text);
  return parsed.ok ? formatDecimal(parsed.nanos, 0) : "1";
}

export function newGroup({ name, title, factor }: GroupDraft): NewGroup {
  return { name: name.trim(), title: title.trim(), factor: factorOf(factor) };
}

/** Only what differs; null when nothing does. */
export function groupChange({ title, factor }: GroupDraft, before: GroupRow): GroupPatch | null {
  const patch: GroupPatch = {};
  if (title.trim() !== before.title) patch.title = title.trim();
  if (factorOf(factor) !== factorOf(before.factor)) patch.factor = factorOf(factor);
  return Object.keys(patch).length > 0 ? patch : null;
}
