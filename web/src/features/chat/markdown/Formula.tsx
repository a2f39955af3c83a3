/** A formula. KaTeX is fetched with the first one; until then, and for what it cannot read, the source is shown. */
import { memo, useEffect, useState, type ReactNode } from "react";

type Katex = typeof import("./katex").formula;

let formula: Katex | null = null;
let loading: Promise<void> | null = null;

function load(): Promise<void> {
  loading ??= import("./katex").then(
    (module) => {
      formula = module.formula;
    },
    () => {
      // Offline: the source stays; the next formula tries again.
      loading = null;
    },
  );
  return loading;
}

export const Formula = memo(function Formula({ tex, display }: { tex: string; display: boolean }): ReactNode {
  const [ready, setReady] = useState(formula !== null);
  useEffect(() => {
    if (!ready) void load().then(() => setReady(formula !== null));
  }, [ready]);
  const html = ready ? (formula?.(tex, display) ?? null) : null;
  const Tag = display ? "div" : "span";
  const shared = { "data-formula": true, className: display ? "formula" : undefined };
  if (html === null) return <Tag {...shared} className={display ? "formula-source" : undefined}>{tex}</Tag>;
  return <Tag {...shared} dangerouslySetInnerHTML={{ __html: html }} />;
});
