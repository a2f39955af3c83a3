/** Which addresses a model's text may lead to. */
const SAFE = new Set(["http:", "https:", "mailto:"]);

/** The address when it is http, https or mailto; null for everything else (`javascript:`, `data:`, relative ones). */
export function safeHref(url: string): string | null {
  try {
    const parsed = new URL(url);
    return SAFE.has(parsed.protocol) ? parsed.href : null;
  } catch {
    return null;
  }
}
