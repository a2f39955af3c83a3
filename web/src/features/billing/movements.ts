/** The double entries of a ledger as movements: the lines that were booked together, which sum to zero. */
import type { LedgerEntry } from "@/api/types";

interface Line {
  /** Of the event that booked it. */
  readonly position: number;
  readonly line: number;
}

export interface Movement<T extends Line = LedgerEntry> {
  readonly position: number;
  readonly lines: readonly T[];
}

/** Groups lines, newest first as they came, by their position. */
export function movementsOf<T extends Line>(entries: readonly T[]): Movement<T>[] {
  const byPosition = new Map<number, T[]>();
  for (const entry of entries) {
    const lines = byPosition.get(entry.position);
    if (lines === undefined) byPosition.set(entry.position, [entry]);
    // A line that arrived between two page reads may be on both.
    else if (lines.every((line) => line.line !== entry.line)) lines.push(entry);
  }
  return [...byPosition].map(([position, lines]) => ({ position, lines: lines.toSorted((one, other) => one.line - other.line) }));
}
