/** What a key in the composer means. */
import { isComposing } from "@/lib/ime";

export type ComposerAction = "send" | "stop" | null;

type Key = Pick<KeyboardEvent, "key" | "shiftKey" | "ctrlKey" | "metaKey" | "altKey" | "isComposing" | "keyCode">;

/** Enter sends, Shift+Enter breaks the line, Escape stops the reply; keys of an input method mean neither. */
export function composerAction(event: Key): ComposerAction {
  if (isComposing(event)) return null;
  if (event.key === "Escape") return "stop";
  return event.key === "Enter" && !event.shiftKey && !event.altKey ? "send" : null;
}
