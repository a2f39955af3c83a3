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
  /** Filters of the event log: aggregate type, aggregate id, event type. */
  type?: string;
  id?: string;
  event?: string;
}

const NAMES = ["channel", "view", "query", "user", "type", "id", "event"] as const;

export function operationsSearch(search: Record<string, unknown>): OperationsSearch {
  const found: OperationsSearch = {};
  for (const name of NAMES) {
    const value = search[name];
    // The router reads digits as a number.
    if ((typeof value === "string" && value !== "") || typeof value === "number") found[name] = String(value);
  }
  return found;
}
