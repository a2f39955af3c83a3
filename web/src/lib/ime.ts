/**
 * Whether a key belongs to an input method (Chinese, Japanese, Korean), where Enter and Escape choose or drop a
 * candidate. Safari ends the composition before the key arrives; it then says 229.
 */
export function isComposing(event: Pick<KeyboardEvent, "isComposing" | "keyCode">): boolean {
  return event.isComposing || event.keyCode === 229;
}
