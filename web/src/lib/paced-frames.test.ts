import { expect, test, vi } from "vitest";
import { pacedFrame } from "./paced-frames";

function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 60));
}

test("cheap work gets the very next frame", async () => {
  const frame = vi.spyOn(globalThis, "requestAnimationFrame");
  const work = vi.fn<() => void>();
  pacedFrame(work);
  expect(frame).toHaveBeenCalledTimes(1);
  await vi.waitFor(() => expect(work).toHaveBeenCalledTimes(1));
  await settled();
});

test("after a dear frame the next one waits, but comes", async () => {
  const dear = vi.fn<() => void>(() => {
    const until = performance.now() + 30;
    while (performance.now() < until);
  });
  pacedFrame(dear);
  await vi.waitFor(() => expect(dear).toHaveBeenCalled());
  await new Promise((resolve) => setTimeout(resolve, 5));
  const frame = vi.spyOn(globalThis, "requestAnimationFrame");
  const next = vi.fn<() => void>();
  pacedFrame(next);
  expect(frame).not.toHaveBeenCalled();
  await vi.waitFor(() => expect(next).toHaveBeenCalledTimes(1));
  await settled();
});

test("a hidden tab, which paints no frames, is not forgotten", async () => {
  vi.spyOn(document, "hidden", "get").mockReturnValue(true);
  const work = vi.fn<() => void>();
  pacedFrame(work);
  await vi.waitFor(() => expect(work).toHaveBeenCalledTimes(1));
});
