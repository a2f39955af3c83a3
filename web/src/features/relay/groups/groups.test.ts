import { expect, test } from "vitest";
import type { Group } from "@/features/operations/types";
import { groupChange, groupProblems, newGroup, withDefault } from "./groups";

const at = "2026-11-01T00:00:00Z";
const vip: Group = { name: "vip", title: "VIP", factor: "0.8", users: 3, created_at: at, updated_at: at };

test("the default group is there before anybody makes it, and comes first", () => {
  expect(withDefault([]).map(({ name, made, factor }) => [name, made, factor])).toEqual([["default", false, "1"]]);
  const made = { ...vip, name: "default", factor: "1.5" };
  expect(withDefault([vip, made]).map(({ name, made: isMade, factor }) => [name, isMade, factor])).toEqual([["default", true, "1.5"], ["vip", true, "0.8"]]);
});

test("a group that cannot be is told by its field", () => {
  expect(groupProblems({ name: "VIP Users", title: " ", factor: "1001" })).toEqual({ name: "not_a_name", title: "missing", factor: "not_within" });
  expect(groupProblems({ name: "vip-1", title: "VIP", factor: "0" })).toEqual({});
});

test("a factor is sent as an exact decimal, and only where it changes", () => {
  expect(newGroup({ name: " vip ", title: " VIP ", factor: "０.8000" })).toEqual({ name: "vip", title: "VIP", factor: "0.8" });
  const [, row] = withDefault([vip]);
  if (row === undefined) throw new Error("a row");
  expect(groupChange({ name: "vip", title: "VIP", factor: "0.80" }, row)).toBeNull();
  expect(groupChange({ name: "vip", title: "VIP", factor: "1" }, row)).toEqual({ factor: "1" });
});
