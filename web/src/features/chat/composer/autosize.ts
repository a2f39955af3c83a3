const native = typeof CSS !== "undefined" && CSS.supports("field-sizing", "content");

/** Makes a text area as high as its text, where the style sheet's `field-sizing` cannot. */
export function autosize(area: HTMLTextAreaElement | null): void {
  if (native || area === null) return;
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight}px`;
}
