import type { ReactNode } from "react";

/** The mark: a ring that does not close, and the thought that left it. */
export function Mark({ className }: { className?: string }): ReactNode {
  return (
    <svg viewBox="0 0 32 32" className={className} aria-hidden>
      <rect width="32" height="32" rx="9" className="fill-mark" />
      <path d="M16 7a9 9 0 1 1-8.2 5.3" fill="none" className="stroke-mark-ring" strokeWidth="3" strokeLinecap="round" />
      <circle cx="10.2" cy="9" r="1.7" className="fill-mark-dot" />
    </svg>
  );
}
