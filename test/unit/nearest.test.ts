import { expect, test } from "bun:test";
import { nearest } from "../../src/cli/nearest.ts";

const WORDS = ["up", "probe", "status", "plan", "down", "version", "migrate", "check"];

const table: readonly [word: string, then: string | undefined][] = [
  ["chekc", "check"],
  ["chek", "check"],
  ["check", "check"],
  ["checkk", "check"],
  ["stats", "status"],
  ["satus", "status"],
  ["migarte", "migrate"],
  ["dwon", "down"],
  ["pln", "plan"],
  ["ups", "up"],
  ["u", "up"],
  ["verify", undefined],
  ["x", undefined],
  ["", undefined],
  ["frobnicate", undefined],
  ["destroy", undefined],
];

test.each(table)("nearest() of %p is %p", (word, then) => {
  expect(nearest(word, WORDS)).toBe(then);
});

test("nearest() takes the first of two that are equally near", () => {
  expect(nearest("bat", ["cat", "hat"])).toBe("cat");
});

test("nearest() of no words is none", () => {
  expect(nearest("up", [])).toBeUndefined();
});
