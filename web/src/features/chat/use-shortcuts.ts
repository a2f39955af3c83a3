/** Keys that work everywhere in the chat. The list shown to people is in Shortcuts.tsx. */
import { useEffect } from "react";
import { useRouter } from "@tanstack/react-router";
import { isComposing } from "@/lib/ime";
import { setShortcuts, toggleSidebar } from "./layout-state";

export const COMPOSER_ID = "message";

function typing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(?:input|textarea|select)$/i.test(target.tagName));
}

export function useShortcuts(): void {
  const router = useRouter();
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent): void => {
      if (isComposing(event) || event.altKey) return;
      const command = event.ctrlKey || event.metaKey;
      const key = event.key.toLowerCase();
      let done = true;
      if (command && event.shiftKey && key === "o") void router.navigate({ to: "/" });
      else if (command && event.shiftKey && key === "s") toggleSidebar();
      else if (command && key === "/") setShortcuts(true);
      else if (!command && key === "/" && !typing(event.target)) document.getElementById(COMPOSER_ID)?.focus();
      else done = false;
      if (done) event.preventDefault();
    };
    document.addEventListener("keydown", onKeyDown);
    return () => document.removeEventListener("keydown", onKeyDown);
  }, [router]);
}
