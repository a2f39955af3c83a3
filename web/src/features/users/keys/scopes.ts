/** What a key may do, in the order in which it is offered. */
export const SCOPES = ["chat", "models", "billing"] as const;
export type Scope = (typeof SCOPES)[number];

/** A scope that this page has a name for; a newer server may have more. */
export function knownScope(name: string): Scope | null {
  return SCOPES.find((scope) => scope === name) ?? null;
}
