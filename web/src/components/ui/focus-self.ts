/** Focuses an opened dialog itself, not its first button, whose tooltip would pop up. For `onOpenAutoFocus`. */
export function focusSelf(event: Event): void {
  event.preventDefault();
  if (event.currentTarget instanceof HTMLElement) event.currentTarget.focus();
}
