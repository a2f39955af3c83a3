import { expect, test, vi } from "vitest";
import { act, fireEvent, render, screen } from "@testing-library/react";
import { ApiError } from "@/api/problem";
import { readDraft } from "@/lib/drafts";
import { useComposer, type Composed } from "./use-composer";

type Send = (message: Composed) => Promise<void>;

function Probe({ send, place = "s1", model = "m1" }: { send: Send; place?: string; model?: string }) {
  const { area, submit, changed, failure } = useComposer({ userId: "u1", place, model, parentId: null, send });
  return (
    <>
      <textarea ref={area} onInput={changed} />
      <button type="button" onClick={submit}>
        {failure === null ? "send" : `retry ${failure.code}`}
      </button>
    </>
  );
}

function type(text: string): void {
  fireEvent.input(screen.getByRole("textbox"), { target: { value: text } });
}

async function press(): Promise<void> {
  await act(async () => {
    fireEvent.click(screen.getByRole("button"));
    await Promise.resolve();
  });
}

const text = (): string => screen.getByRole<HTMLTextAreaElement>("textbox").value;
const lost = new ApiError(0, "network", "", null);
const refused = new ApiError(422, "message_too_long", "", null);

test("the draft is cleared only when the server has accepted it", async () => {
  let accept: () => void = () => undefined;
  render(<Probe send={() => new Promise((resolve) => (accept = resolve))} />);
  type("hello");
  await press();
  expect(text()).toBe("hello");
  expect(readDraft("u1", "s1").text).toBe("hello");
  await act(async () => accept());
  expect(text()).toBe("");
  expect(readDraft("u1", "s1")).toEqual({ text: "", attempt: null });
});

test("pressing twice sends once", async () => {
  const send = vi.fn<Send>(() => new Promise(() => undefined));
  render(<Probe send={send} />);
  type("hello");
  await press();
  await press();
  expect(send).toHaveBeenCalledTimes(1);
});

test("a retry after a lost answer carries the same key, even after a reload", async () => {
  const send = vi.fn<Send>().mockRejectedValue(lost);
  const first = render(<Probe send={send} />);
  type("hello");
  await press();
  await press();
  first.unmount();
  render(<Probe send={send} />);
  expect(text()).toBe("hello");
  await press();
  const keys = send.mock.calls.map(([message]) => message.idempotencyKey);
  expect(new Set(keys).size).toBe(1);
  expect(keys).toHaveLength(3);
});

test("another text, another model and a refusal each make a new key", async () => {
  const send = vi.fn<Send>().mockRejectedValueOnce(lost).mockRejectedValueOnce(lost).mockRejectedValueOnce(refused).mockRejectedValue(lost);
  const { rerender } = render(<Probe send={send} />);
  type("hello");
  await press();
  type("hello!");
  await press();
  rerender(<Probe send={send} model="m2" />);
  await press();
  await press();
  expect(new Set(send.mock.calls.map(([message]) => message.idempotencyKey)).size).toBe(4);
});

test("what is typed while a message is on its way stays", async () => {
  let accept: () => void = () => undefined;
  render(<Probe send={() => new Promise((resolve) => (accept = resolve))} />);
  type("hello");
  await press();
  type("hello, and");
  await act(async () => accept());
  expect(text()).toBe("hello, and");
});

test("each conversation has its own draft", async () => {
  const { rerender } = render(<Probe send={() => Promise.resolve()} />);
  type("for one");
  dispatchEvent(new Event("pagehide"));
  rerender(<Probe send={() => Promise.resolve()} place="s2" />);
  expect(text()).toBe("");
  rerender(<Probe send={() => Promise.resolve()} place="s1" />);
  expect(text()).toBe("for one");
});

test("blank text is not sent", async () => {
  const send = vi.fn<Send>();
  render(<Probe send={send} />);
  type("  \n ");
  await press();
  expect(send).not.toHaveBeenCalled();
});
