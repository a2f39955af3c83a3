import { useEffect } from "react";

/** The tab's title: what is on screen, then the product's name. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = title === "" ? "Oblivious" : `${title} · Oblivious`;
  }, [title]);
}
