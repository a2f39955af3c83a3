/** The languages say the same things, nothing is left over, and no text hides in the components. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { expect, test } from "vitest";
import en from "./locales/en.json";
import enBilling from "./locales/en/billing.json";
import enKeys from "./locales/en/keys.json";
import enOperations from "./locales/en/operations.json";
import enRelay from "./locales/en/relay.json";
import zh from "./locales/zh-CN.json";
import zhBilling from "./locales/zh-CN/billing.json";
import zhKeys from "./locales/zh-CN/keys.json";
import zhOperations from "./locales/zh-CN/operations.json";
import zhRelay from "./locales/zh-CN/relay.json";
import { KNOWN_PROBLEMS } from "./problems";

const SOURCES = join(process.cwd(), "src");

/** The texts of each namespace, and the folders whose files use them. */
const NAMESPACES = [
  { name: "translation", en, zh, folders: [""] },
  { name: "billing", en: enBilling, zh: zhBilling, folders: ["features/billing/"] },
  { name: "keys", en: enKeys, zh: zhKeys, folders: ["features/users/keys/"] },
  { name: "operations", en: enOperations, zh: zhOperations, folders: ["features/operations/"] },
  { name: "relay", en: enRelay, zh: zhRelay, folders: ["features/relay/"] },
];

function leaves(tree: object, prefix = ""): string[] {
  return Object.entries(tree).flatMap(([key, node]) =>
    typeof node === "string" ? [prefix + key] : leaves(node as object, `${prefix}${key}.`),
  );
}

/** Plural forms of one key count as one: languages have different ones. */
function keys(tree: object): string[] {
  return [...new Set(leaves(tree).map((key) => key.replace(/_(?:zero|one|two|few|many|other)$/, "")))].sort();
}

function value(tree: object, key: string): string {
  const found: unknown = key.split(".").reduce<unknown>((node, part) => (node as Record<string, unknown>)?.[part], tree);
  return typeof found === "string" ? found : "";
}

const files = readdirSync(SOURCES, { recursive: true, encoding: "utf8" })
  .filter((name) => /\.tsx?$/.test(name) && !/\.test\.|\.d\.ts$|^test/.test(name))
  .map((name) => ({ name, text: readFileSync(join(SOURCES, name), "utf8") }));

test.each(NAMESPACES)("both languages have the same keys: $name", (texts) => {
  expect(keys(texts.zh)).toEqual(keys(texts.en));
});

test.each(NAMESPACES)("both languages fill the same places: $name", (texts) => {
  const places = (text: string): string[] => (text.match(/\{\{\w+\}\}/g) ?? []).sort();
  for (const key of leaves(texts.zh)) expect([key, places(value(texts.zh, key))]).toEqual([key, places(value(texts.en, key))]);
});

test.each(NAMESPACES)("every key is used: $name", (texts) => {
  const all = files.filter((file) => texts.folders.some((folder) => file.name.startsWith(folder))).map((file) => file.text).join("\n");
  const literal = new Set([...all.matchAll(/\bt\(\s*"([\w.]+)"/g)].map((match) => match[1] ?? ""));
  const patterns = [...all.matchAll(/\bt\(\s*`([^`]+)`/g)].map((match) => {
    const source = (match[1] ?? "").replaceAll(".", "\\.").replace(/\$\{[^}]+\}/g, "[\\w-]+");
    return new RegExp(`^${source}$`);
  });
  const others = all.matchAll(/"((?:[a-z]\w*\.)+\w+)"/g);
  for (const match of others) literal.add(match[1] ?? "");
  // The problems of a page are codes of the server; `useProblemText` looks them up.
  if (texts.name !== "translation") patterns.push(/^problem\./);
  const unused = keys(texts.en).filter((key) => !literal.has(key) && !patterns.some((pattern) => pattern.test(key)));
  expect(unused).toEqual([]);
});

test("every known problem has its sentence, and no sentence is without a problem", () => {
  expect(Object.keys(en.problem).sort()).toEqual([...KNOWN_PROBLEMS, "unknown"].sort());
});

const SPOKEN = new Set(["aria-label", "title", "placeholder", "alt", "label", "hint", "text"]);

function literalsIn(name: string, text: string): string[] {
  const source = ts.createSourceFile(name, text, ts.ScriptTarget.Latest, true, ts.ScriptKind.TSX);
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isJsxText(node) && /\p{L}/u.test(node.text)) found.push(`${name}: ${node.text.trim()}`);
    if (ts.isJsxAttribute(node) && node.initializer !== undefined && ts.isStringLiteral(node.initializer)) {
      if (SPOKEN.has(node.name.getText(source)) && /\p{L}/u.test(node.initializer.text)) found.push(`${name}: ${node.initializer.text}`);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

test("no text is written in the components", () => {
  expect(files.filter((file) => file.name.endsWith(".tsx")).flatMap((file) => literalsIn(file.name, file.text))).toEqual([]);
});
