import { expect, test } from "vitest";
import { composerAction } from "./keys";

const plain = { key: "Enter", shiftKey: false, ctrlKey: false, metaKey: false, altKey: false, isComposing: false, keyCode: 13 };

test("Enter sends, Shift+Enter breaks the line", () => {
  expect(composerAction(plain)).toBe("send");
  expect(composerAction({ ...plain, shiftKey: true })).toBeNull();
});

test("Enter that chooses a candidate of an input method does not send", () => {
  expect(composerAction({ ...plain, isComposing: true })).toBeNull();
});

test("in Safari, where the composition ends before the key arrives, it does not send either", () => {
  expect(composerAction({ ...plain, keyCode: 229 })).toBeNull();
});

test("Escape stops, unless it belongs to an input method", () => {
  expect(composerAction({ ...plain, key: "Escape", keyCode: 27 })).toBe("stop");
  expect(composerAction({ ...plain, key: "Escape", isComposing: true, keyCode: 229 })).toBeNull();
});
