/**
 * Bytes that a visitor must fetch, against the limits. Reads Vite's manifest: what a chunk imports statically belongs
 * to it. Run after `vite build`; `npm run bench` writes the same figures down.
 */
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const DIST = new URL("../dist/", import.meta.url).pathname;

interface Chunk {
  file: string;
  imports?: string[];
}

export interface Size {
  name: string;
  bytes: number;
  limit: number;
}

function manifest(): Record<string, Chunk> {
  return JSON.parse(readFileSync(join(DIST, ".vite/manifest.json"), "utf8")) as Record<string, Chunk>;
}

/** The files of some modules and of everything that they import statically. */
function closure(chunks: Record<string, Chunk>, roots: readonly string[]): Set<string> {
  const files = new Set<string>();
  const visit = (key: string): void => {
    const chunk = chunks[key];
    if (chunk === undefined) throw new Error(`the build has no ${key}`);
    if (files.has(chunk.file)) return;
    files.add(chunk.file);
    for (const each of chunk.imports ?? []) visit(each);
  };
  for (const root of roots) visit(root);
  return files;
}

function gzipped(files: Iterable<string>): number {
  let sum = 0;
  for (const file of files) if (file.endsWith(".js")) sum += gzipSync(readFileSync(join(DIST, file)), { level: 9 }).length;
  return sum;
}

/** What the executable carries: every file, compressed as it is served. */
function embedded(): number {
  const names = readdirSync(DIST, { recursive: true, encoding: "utf8" }).filter((name) => !name.startsWith(".vite"));
  const files = names.map((name) => join(DIST, name)).filter((path) => statSync(path).isFile());
  const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } };
  return files.reduce((sum, path) => {
    const bytes = readFileSync(path);
    return sum + (path.endsWith(".woff2") ? bytes.length : brotliCompressSync(bytes, quality).length);
  }, 0);
}

const LOCALE = "src/i18n/locales/en.json";
const LOGIN = ["index.html", LOCALE, "src/features/users/LoginPage.tsx"];
const CHAT = ["index.html", LOCALE, "src/features/chat/ChatLayout.tsx"];
const MARKDOWN = "src/features/chat/markdown/Markdown.tsx";

const OPERATIONS = ["src/features/operations/OperationsPage.tsx", "src/i18n/locales/en/operations.json"];
const RELAY = "src/i18n/locales/en/relay.json";

/** What a page beside the chat adds to it, with its texts. */
const BESIDE_CHAT = {
  balance: ["src/features/billing/BalancePage.tsx", "src/i18n/locales/en/billing.json"],
  usage: ["src/features/relay/usage/UsagePage.tsx", RELAY, "src/i18n/locales/en/billing.json"],
  keys: ["src/features/users/keys/KeysPage.tsx", "src/i18n/locales/en/keys.json"],
  operations: OPERATIONS,
  channels: [...OPERATIONS, RELAY, "src/features/relay/channels/ChannelsSection.tsx"],
  models: [...OPERATIONS, RELAY, "src/features/relay/models/ModelsSection.tsx"],
  groups: [...OPERATIONS, RELAY, "src/features/relay/groups/GroupsSection.tsx"],
  statistics: [...OPERATIONS, RELAY, "src/features/relay/statistics/StatisticsSection.tsx", "src/i18n/locales/en/billing.json"],
} as const;

export function sizes(): Size[] {
  const chunks = manifest();
  const chat = closure(chunks, CHAT);
  const beyondChat = (roots: readonly string[]): string[] => [...closure(chunks, roots)].filter((file) => !chat.has(file));
  return [
    { name: "sign-in JavaScript, gzip", bytes: gzipped(closure(chunks, LOGIN)), limit: 150_000 },
    { name: "chat initial JavaScript, gzip", bytes: gzipped(chat), limit: 200_000 },
    { name: "markdown chunk, gzip", bytes: gzipped(beyondChat([MARKDOWN])), limit: 60_000 },
    ...Object.entries(BESIDE_CHAT).map(([page, roots]) => ({
      name: `${page} beside the chat, gzip`,
      bytes: gzipped(beyondChat(roots)),
      limit: 60_000,
    })),
    { name: "all embedded assets, brotli", bytes: embedded(), limit: 2_500_000 },
  ];
}

function main(): void {
  const measured = sizes();
  for (const { name, bytes, limit } of measured) {
    console.log(`${bytes > limit ? "OVER" : "ok  "} ${name}: ${(bytes / 1000).toFixed(1)} of ${limit / 1000} kB`);
  }
  if (measured.some(({ bytes, limit }) => bytes > limit)) process.exitCode = 1;
}

if (process.argv[1] === new URL(import.meta.url).pathname) main();
