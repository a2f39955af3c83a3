/**
 * For the `ref` of a heading (with `tabIndex={-1}`) of what has replaced the screen: the keyboard and screen readers go on
 * from there, not from the top of the page.
 */
export function focusHeading(heading: HTMLElement | null): void {
  heading?.focus({ preventScroll: true });
}
