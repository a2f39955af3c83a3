/** Conversations under the headings that people think in. */
export const DATE_GROUPS = ["today", "yesterday", "week", "month", "older"] as const;
export type DateGroup = (typeof DATE_GROUPS)[number];

/** By calendar days of the reader's time zone, not by hours. */
export function dateGroup(iso: string, now: Date): DateGroup {
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate());
  const at = new Date(iso);
  const daysBack = (days: number): Date => {
    const day = new Date(midnight);
    day.setDate(day.getDate() - days);
    return day;
  };
  if (at >= midnight) return "today";
  if (at >= daysBack(1)) return "yesterday";
  if (at >= daysBack(7)) return "week";
  return at >= daysBack(30) ? "month" : "older";
}

export type Row<T> = { readonly kind: "heading"; readonly group: DateGroup } | { readonly kind: "item"; readonly item: T };

/** The list with a heading before each group; the order of `items` stays. */
export function withHeadings<T extends { updated_at: string }>(items: readonly T[], now = new Date()): Row<T>[] {
  const rows: Row<T>[] = [];
  let last: DateGroup | null = null;
  for (const item of items) {
    const group = dateGroup(item.updated_at, now);
    if (group !== last) rows.push({ kind: "heading", group });
    last = group;
    rows.push({ kind: "item", item });
  }
  return rows;
}
