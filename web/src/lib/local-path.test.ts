import { expect, test } from "vitest";
import { localPath } from "./local-path";

test.each(["/", "/c/1?branch=2", "/nowhere"])("%s is a path of this page", (path) => {
  expect(localPath(path)).toBe(path);
});

test.each(["//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", "", undefined, 5, "/login", "/register?x"])(
  "%s is not",
  (path) => {
    expect(localPath(path)).toBeNull();
  },
);
