/** `value` when it is a path of this page; null for other sites (`//evil.example`), schemes and the sign-in pages. */
export function localPath(value: unknown): string | null {
  if (typeof value !== "string" || !value.startsWith("/") || value.startsWith("//") || value.startsWith("/\\")) return null;
  return /^\/(?:login|register)(?:[/?#]|$)/.test(value) ? null : value;
}
