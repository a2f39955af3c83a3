import { execFileSync } from "node:child_process";
import ts from "typescript";
import { expect, test } from "vitest";
import { baseUrlOf, DIALECTS, firstCalls, KEY } from "./connect";

const place = { origin: "https://chat.example.org", model: "it's \"mini\" $(x)" };
const all = DIALECTS.flatMap((dialect) => firstCalls(dialect, place).map((call) => ({ dialect, ...call })));

test("each dialect has its address and a call for each of its SDKs", () => {
  expect(DIALECTS.map((dialect) => baseUrlOf(dialect, place.origin))).toEqual(["https://chat.example.org/v1", "https://chat.example.org", "https://chat.example.org"]);
  expect(all.map(({ dialect, sdk }) => `${dialect} ${sdk}`)).toEqual([
    "openai python", "openai node", "openai ai", "openai curl", "anthropic python", "anthropic node", "anthropic curl", "gemini python", "gemini node", "gemini curl",
  ]);
  for (const { text } of all) expect(text).toContain(KEY);
});

test("calls for Node are JavaScript, whatever the model is called", () => {
  for (const { text } of all.filter(({ sdk }) => sdk === "node" || sdk === "ai")) {
    const { diagnostics } = ts.transpileModule(text, { reportDiagnostics: true, compilerOptions: { module: ts.ModuleKind.ESNext } });
    expect(diagnostics).toEqual([]);
  }
});

test("a shell hands curl exactly what is meant", () => {
  for (const { text } of all.filter(({ sdk }) => sdk === "curl")) {
    const words = execFileSync("sh", ["-c", text.replace(/^curl/, "printf '%s\\n'")], { encoding: "utf8" }).trim().split("\n");
    expect(words[0]).toMatch(/^https:\/\/chat\.example\.org\/v1/);
    expect(JSON.parse(words.at(-1) ?? "")).toBeTypeOf("object");
  }
});
