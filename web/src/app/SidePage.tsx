import type { ReactNode } from "react";
import { TopBar } from "@/features/chat/TopBar";
import { useTitle } from "@/lib/use-title";

/** The frame of a page beside the chat: its name on top, its content in one scrolling column. */
export function SidePage({ title, wide = false, children }: { title: string; wide?: boolean; children: ReactNode }): ReactNode {
  useTitle(title);
  return (
    <>
      <TopBar title={title} />
      <div tabIndex={-1} className="scroll-thin min-h-0 flex-1 overflow-y-auto outline-none">
        <div className={`mx-auto flex w-full flex-col gap-8 px-4 pt-2 pb-16 md:px-8 ${wide ? "max-w-[80rem]" : "max-w-[56rem]"}`}>{children}</div>
      </div>
    </>
  );
}
