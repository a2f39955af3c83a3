import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { snippetsOf } from "./snippets";
import type { Scope } from "./scopes";

const call = { origin: "https://chat.example.org", key: "obl-secret", model: "it's \"mini\" $(x)", scopes: ["chat", "models"] as Scope[] };

function curlOf(scopes: Scope[]): string {
  return snippetsOf({ ...call, scopes })[0]?.text ?? "";
}

test("a shell hands curl exactly what is meant, whatever the model is called", () => {
  const words = execFileSync("sh", ["-c", `${curlOf(["chat"]).replace(/^curl/, "printf '%s\\n'")}`], { encoding: "utf8" }).trim().split("\n");
  expect(words.slice(0, 5)).toEqual([
    "https://chat.example.org/v1/chat/completions",
    "-H",
    "Authorization: Bearer obl-secret",
    "-H",
    "Content-Type: application/json",
  ]);
  expect(JSON.parse(words[6] ?? "")).toEqual({ model: call.model, messages: [{ role: "user", content: "Hello!" }] });
});

test("the call is one that the key may make", () => {
  expect(curlOf(["models"])).toContain("/v1/models'");
  expect(curlOf(["billing"])).toContain("/api/v1/wallet'");
  expect(snippetsOf({ ...call, scopes: ["billing"] }).map((each) => each.name)).toEqual(["curl"]);
  expect(snippetsOf({ ...call, scopes: ["models"] })[1]?.text).toContain("client.models.list()");
});

test("the Python client speaks to this host", () => {
  const text = snippetsOf(call)[1]?.text ?? "";
  expect(text).toContain('base_url="https://chat.example.org/v1", api_key="obl-secret"');
  expect(text).toContain('model="it\'s \\"mini\\" $(x)"');
});
