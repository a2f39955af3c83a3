/** Keys as a person meets them, against a scripted server. */
import { screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { http, HttpResponse } from "msw";
import { beforeAll, beforeEach, expect, test } from "vitest";
import type { ApiKey } from "@/api/types";
import { openPage, preparePages, refuse } from "@/test/page";
import { server } from "@/test/server";
import { KeysPage } from "./KeysPage";

const SECRET = "sk-obl-0123456789-secretsecret";

const key: ApiKey = {
  id: "k1",
  name: "Laptop",
  hint: "cret",
  scopes: ["chat", "models"],
  models: null,
  expires_at: null,
  created_at: "2026-11-21T10:00:00Z",
  revoked_at: null,
  last_used_at: null,
};

let keys: ApiKey[];

beforeAll(() => preparePages("keys"));

beforeEach(() => {
  keys = [];
  const models = { items: [{ id: "fast", provider: "openai", default: true, demonstration: false, prices: { input: "1", output: "2" } }] };
  server.use(
    http.get("*/api/v1/api-keys", () => HttpResponse.json({ items: keys, next_cursor: null })),
    http.get("*/api/v1/models", () => HttpResponse.json(models)),
  );
});

async function fillIn(name: string): Promise<void> {
  await userEvent.click(await screen.findByRole("button", { name: "New key" }));
  await userEvent.type(screen.getByRole("textbox", { name: "Name" }), name);
}

const make = (): Promise<void> => userEvent.click(screen.getByRole("button", { name: "Make the key" }));

test("a new key is shown with a call that is ready to run, and nowhere once its dialog is closed", async () => {
  server.use(
    http.post("*/api/v1/api-keys", async ({ request }) => {
      expect(await request.json()).toEqual({ name: "Laptop", scopes: ["chat", "models"] });
      keys = [key];
      return HttpResponse.json({ ...key, key: SECRET }, { status: 201 });
    }),
  );
  openPage(KeysPage, "/keys");
  await fillIn(" Laptop ");
  await make();
  const field = await screen.findByRole<HTMLInputElement>("textbox", { name: "API key" });
  expect(field.value).toBe(SECRET);
  await screen.findByText(new RegExp(`Bearer ${SECRET}[^]*"model":"fast"`));
  await userEvent.click(screen.getByRole("button", { name: "I have copied it" }));
  await screen.findByText("…cret");
  expect(document.body.innerHTML).not.toContain(SECRET);
});

test("a lost answer is asked for again as it was, under the same idempotency key, to the moment of expiry", async () => {
  const asked: { idempotencyKey: string | null; body: unknown }[] = [];
  server.use(
    http.post("*/api/v1/api-keys", async ({ request }) => {
      asked.push({ idempotencyKey: request.headers.get("idempotency-key"), body: await request.json() });
      return asked.length < 2 ? refuse(503, "read_model_behind") : HttpResponse.json({ ...key, key: SECRET }, { status: 201 });
    }),
  );
  openPage(KeysPage, "/keys");
  await fillIn("Laptop");
  await userEvent.selectOptions(screen.getByRole("combobox", { name: "Valid" }), "30 days");
  await make();
  await screen.findByText(/cannot be shown yet/);
  await make();
  await screen.findByRole("textbox", { name: "API key" });
  expect(asked).toHaveLength(2);
  expect(asked[1]).toEqual(asked[0]);
  expect(asked[0]?.idempotencyKey).toBeTruthy();
});

test("what is missing is told beside its field before the server is asked", async () => {
  openPage(KeysPage, "/keys");
  await userEvent.click(await screen.findByRole("button", { name: "New key" }));
  await userEvent.click(screen.getByRole("checkbox", { name: /^All models/ }));
  await make();
  expect(screen.getByText("Choose at least one model.")).toBeTruthy();
  const name = screen.getByRole("textbox", { name: "Name" });
  expect(name.getAttribute("aria-invalid")).toBe("true");
  await waitFor(() => expect(document.activeElement).toBe(name));
});

test("a refusal of the server is told in the reader's words, and the form stays", async () => {
  server.use(http.post("*/api/v1/api-keys", () => refuse(422, "too_many_keys")));
  openPage(KeysPage, "/keys");
  await fillIn("One more");
  await make();
  await screen.findByText(/as many keys as there can be/);
  expect(screen.getByRole<HTMLInputElement>("textbox", { name: "Name" }).value).toBe("One more");
});

test("a key is revoked only when that was confirmed, and then stands among those that have ended", async () => {
  keys = [key];
  const revoked: string[] = [];
  server.use(
    http.delete("*/api/v1/api-keys/:id", ({ params }) => {
      revoked.push(String(params["id"]));
      keys = [{ ...key, revoked_at: "2026-11-22T10:00:00Z" }];
      return new HttpResponse(null, { status: 204 });
    }),
  );
  openPage(KeysPage, "/keys");
  await userEvent.click(await screen.findByRole("button", { name: "Revoke “Laptop”" }));
  await userEvent.click(screen.getByRole("button", { name: "Cancel" }));
  expect(revoked).toEqual([]);
  await userEvent.click(screen.getByRole("button", { name: "Revoke “Laptop”" }));
  await userEvent.click(screen.getByRole("button", { name: "Revoke" }));
  await screen.findByText("No keys in use");
  expect(revoked).toEqual(["k1"]);
  expect(screen.getByText("1 key that has ended")).toBeTruthy();
});
