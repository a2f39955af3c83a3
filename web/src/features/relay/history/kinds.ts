/** The changes of a channel that this page has words for; a newer server may tell of others. */
export const KINDS = [
  "added", "renamed", "address_changed", "keys_replaced", "models_offered", "prices_changed", "routing_changed", "overrides_changed", "annotated",
  "key_suspended", "key_resumed", "enabled", "disabled", "removed",
] as const;
export type Kind = (typeof KINDS)[number];

export function kindOf(kind: string): Kind | null {
  return KINDS.find((known) => known === kind) ?? null;
}
