/** Markdown comes in a chunk of its own; until it is here the text is shown as it was written. */
import { lazy, Suspense, type ReactNode } from "react";

const loadMarkdown = (): Promise<typeof import("../markdown/Markdown")> => import("../markdown/Markdown");
const Markdown = lazy(loadMarkdown);

// Asked for as soon as a thread may be shown, not when its first answer is.
void loadMarkdown().catch(() => undefined);

export function AnswerText({ text, growing }: { text: string; growing: boolean }): ReactNode {
  return (
    <Suspense fallback={<div className="prose whitespace-pre-wrap" data-plain>{text}</div>}>
      <Markdown text={text} growing={growing} />
    </Suspense>
  );
}
