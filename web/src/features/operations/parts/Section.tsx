/** The frame of an operators' section, and the table in it. */
import type { ReactNode } from "react";

interface SectionProps {
  label: string;
  /** What it is about, in a sentence. */
  intro?: string;
  /** What one does here first. */
  action?: ReactNode;
  children: ReactNode;
}

export function Section({ label, intro, action, children }: SectionProps): ReactNode {
  return (
    <section className="flex flex-col gap-4" aria-label={label}>
      {intro !== undefined && (
        <div className="flex flex-wrap items-center justify-between gap-3">
          <p className="text-muted max-w-2xl text-sm text-pretty">{intro}</p>
          {action}
        </div>
      )}
      {children}
    </section>
  );
}

/** From which width on a column is shown. Its cells carry the same class. */
export const FROM = { sm: "hidden sm:table-cell", md: "hidden md:table-cell", lg: "hidden lg:table-cell" } as const;

export interface Column {
  readonly title: string;
  readonly number?: boolean;
  readonly from?: keyof typeof FROM;
  /** A column of buttons: its title is only spoken. */
  readonly spoken?: boolean;
}

interface TableProps {
  caption: string;
  columns: readonly Column[];
  busy?: boolean;
  /** The rows. */
  children: ReactNode;
}

export function GridTable({ caption, columns, busy, children }: TableProps): ReactNode {
  return (
    <div className="panel overflow-hidden" aria-busy={busy}>
      <table className="grid-table">
        <caption className="sr-only">{caption}</caption>
        <thead>
          <tr>
            {columns.map(({ title, number = false, from, spoken = false }) => (
              <th key={title} scope="col" data-number={number ? true : undefined} className={from === undefined ? undefined : FROM[from]}>
                {spoken ? <span className="sr-only">{title}</span> : title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}
