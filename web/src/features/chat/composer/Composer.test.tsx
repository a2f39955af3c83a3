import type { ReactNode } from "react";
import { screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { http, HttpResponse } from "msw";
import { beforeAll, expect, test } from "vitest";
import { ApiError } from "@/api/problem";
import { openPage, preparePages } from "@/test/page";
import { server } from "@/test/server";
import { Composer } from "./Composer";

beforeAll(() => preparePages());

const wallet = { held_nanos: "0", balance_nanos: "0", granted_nanos: "0", paid_nanos: "0", debt_nanos: "0", currency: "USD" };

function serve(available: string): void {
  server.use(
    http.get("*/api/v1/wallet", () => HttpResponse.json({ ...wallet, available_nanos: available })),
    http.get("*/api/v1/models", () => HttpResponse.json({ items: [] })),
  );
}

function composer(onSend: () => Promise<void>): () => ReactNode {
  return () => <Composer place="s1" parentId={undefined} busy={false} onSend={onSend} onStop={() => undefined} />;
}

test("a message that credit does not cover is kept, and told with what it needs and what there is", async () => {
  serve("227500");
  const data = { available_nanos: "227500", required_nanos: "652500" };
  openPage(composer(() => Promise.reject(new ApiError(402, "insufficient_credit", "", "r", [], null, data))), "/");
  const area = await screen.findByRole<HTMLTextAreaElement>("textbox", { name: "Message" });
  await userEvent.type(area, "Hello{Enter}");
  expect((await screen.findByRole("alert")).textContent).toContain("This needs $0.0006525 of credit to begin, and you have $0.0002275.");
  expect(screen.getByRole("link", { name: "See the balance" }).getAttribute("href")).toBe("/balance");
  expect(area.value).toBe("Hello");
});

test("amounts that cannot be read leave the plain sentence", async () => {
  serve("227500");
  openPage(composer(() => Promise.reject(new ApiError(402, "insufficient_credit", "", "r", [], null, { available_nanos: 3 }))), "/");
  await userEvent.type(await screen.findByRole("textbox", { name: "Message" }), "Hello{Enter}");
  expect((await screen.findByRole("alert")).textContent).toContain("Your credit does not cover this.");
});

test("what is left is said below the composer when it is little, never more than it is", async () => {
  serve("99999999");
  openPage(composer(() => Promise.resolve()), "/");
  expect((await screen.findByRole("link", { name: /credit left/ })).textContent).toBe("$0.099 of credit left");
});

test("with enough credit nothing is said of it", async () => {
  serve("100000000");
  openPage(composer(() => Promise.resolve()), "/");
  await screen.findByText("Models make mistakes. Check what matters.");
  expect(screen.queryByRole("link", { name: /credit left/ })).toBeNull();
});
