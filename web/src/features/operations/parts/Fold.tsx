import { useEffect, useRef, useState, type ReactNode } from "react";
import { ChevronRight } from "lucide-react";

interface Props {
  title: ReactNode;
  /** What is inside, in a few words, for whoever does not open it. */
  digest?: ReactNode;
  /** Something inside needs a look: it opens by itself. */
  troubled?: boolean;
  /** Counts refusals: each opens it anew while it is troubled. */
  refusals?: number;
  begins?: "open" | "closed";
  /** Without the frame of a panel, inside of one. */
  plain?: boolean;
  children: ReactNode;
}

/** A part of a long form or page that opens. What is inside is only there while it is open. */
export function Fold({ title, digest, troubled = false, refusals = 0, begins = "closed", plain = false, children }: Props): ReactNode {
  const box = useRef<HTMLDetailsElement>(null);
  const [first] = useState(begins === "open");
  const [isOpen, setOpen] = useState(first);
  useEffect(() => {
    if (first && box.current !== null) box.current.open = true;
  }, [first]);
  useEffect(() => {
    if (troubled && box.current !== null) box.current.open = true;
  }, [troubled, refusals]);
  return (
    <details ref={box} className={plain ? "fold" : "fold panel"} data-troubled={troubled} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <ChevronRight aria-hidden />
        <span className="min-w-0 flex-1">
          <span className="block font-medium wrap-anywhere">{title}</span>
          {digest !== undefined && <span className="text-muted block text-sm font-normal wrap-anywhere">{digest}</span>}
        </span>
      </summary>
      {(isOpen || troubled || first) && <div className="fold-inside">{children}</div>}
    </details>
  );
}
