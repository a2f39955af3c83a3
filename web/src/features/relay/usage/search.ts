/** What the address of the page about one's own usage holds. */

export interface UsageSearch {
  /** Days, both included (YYYY-MM-DD, UTC); absent: the last 24 hours. */
  from?: string;
  to?: string;
  by?: string;
  /** What it is narrowed to. */
  model?: string;
  key?: string;
}

const NAMES = ["from", "to", "by", "model", "key"] as const;

export function usageSearch(search: Record<string, unknown>): UsageSearch {
  const found: UsageSearch = {};
  for (const name of NAMES) {
    const value = search[name];
    // The router reads digits as a number.
    if ((typeof value === "string" && value !== "") || typeof value === "number") found[name] = String(value);
  }
  return found;
}
