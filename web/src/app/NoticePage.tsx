import type { ReactNode } from "react";
import { Mark } from "@/components/ui/Brand";

/** A page that only says something and offers a way on. */
export function NoticePage({ title, text, children }: { title: string; text: string; children: ReactNode }): ReactNode {
  return (
    <main className="grid min-h-dvh place-items-center px-6 py-16">
      <div className="flex max-w-md flex-col items-center gap-4 text-center">
        <Mark className="size-12" />
        <h1 className="font-display text-3xl text-balance">{title}</h1>
        <p className="text-muted text-pretty">{text}</p>
        <div className="mt-2 flex flex-wrap justify-center gap-3">{children}</div>
      </div>
    </main>
  );
}
