/** Where the cache has the API keys. Apart, because the event stream needs no more of them. */
export const apiKeyKeys = { all: ["api-keys"] as const };
