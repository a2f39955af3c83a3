/** What the operators' addresses hold beside the section: a reload or a shared link shows the same. */
export interface OperationsSearch {
  /** The channel that is edited, or `new`. */
  channel?: string;
  /** What of it, or of the section, is shown instead: `history`, `import`, `calls`. */
  view?: string;
  /** The beginning of an address or a name. */
  query?: string;
  /** The user that is open. */
  user?: string;
  /** Days of the statistics, both included (YYYY-MM-DD, UTC); absent: the last 24 hours. */
  from?: string;
  to?: string;
  /** What the rows of the statistics have in common. */
  by?: string;
  /** Filters of the statistics and of calls, beside `channel` and `user`. */
  model?: string;
  key?: string;
  outcome?: string;
  code?: string;
  /** Filters of the event log: aggregate type, aggregate id, event type. */
  type?: string;
  id?: string;
  event?: string;
}

const NAMES = ["channel", "view", "query", "user", "from", "to", "by", "model", "key", "outcome", "code", "type", "id", "event"] as const;

export function operationsSearch(search: Record<string, unknown>): OperationsSearch {
  const found: OperationsSearch = {};
  for (const name of NAMES) {
    const value = search[name];
    // The router reads digits as a number.
    if ((typeof value === "string" && value !== "") || typeof value === "number") found[name] = String(value);
  }
  return found;
}
