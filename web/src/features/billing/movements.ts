/** The double entries of the ledger as movements: the lines that were booked together, which sum to zero. */
import type { LedgerEntry } from "./wire";

export interface Movement {
  readonly position: number;
  readonly lines: readonly LedgerEntry[];
}

/** Groups lines, newest first as they came, by their position. */
export function movementsOf(entries: readonly LedgerEntry[]): Movement[] {
  const byPosition = new Map<number, LedgerEntry[]>();
  for (const entry of entries) {
    const lines = byPosition.get(entry.position);
    if (lines === undefined) byPosition.set(entry.position, [entry]);
    // A line that arrived between two page reads may be on both.
    else if (lines.every((line) => line.line !== entry.line)) lines.push(entry);
  }
  return [...byPosition].map(([position, lines]) => ({ position, lines: lines.toSorted((one, other) => one.line - other.line) }));
}
