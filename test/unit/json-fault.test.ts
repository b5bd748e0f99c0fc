import { describe, expect, test } from "bun:test";
import { findJsonFault } from "../../src/core/json-fault.ts";

const GOOD = '[{"a": [1, -2.5e3, true], "b\\"]": {}, "c": "\\u00e9 {x:"}, [], null, ""]';
const ENDS = ["", "]", "1]"];

const NEIGHBOURS = [...GOOD].flatMap((_, at) =>
  ["", ...'[]{},:"\\1a \n'].flatMap((other) => [
    GOOD.slice(0, at) + other + GOOD.slice(at),
    GOOD.slice(0, at) + other + GOOD.slice(at + 1),
  ]),
);

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

describe("findJsonFault()", () => {
  const table: readonly [text: string, offset: number][] = [
    ["", 0],
    ["  ", 2],
    ["[1, 2", 5],
    ["[1, 2,]", 6],
    ["[,]", 1],
    ["[1 2]", 3],
    ["[1]]", 3],
    ["[1}", 2],
    ["[] []", 3],
    ['{"a":1,}', 7],
    ['{"a" 1}', 5],
    ['{"a",1}', 4],
    ["{1:2}", 1],
    ["{a:1}", 1],
    ['{"a":}', 5],
    ["{'a':1}", 1],
    ["[01]", 1],
    ["[1.]", 1],
    ["[NaN]", 1],
    ["[True]", 1],
    ['["a]', 1],
    ['["a\n"]', 1],
    ['["a\\x"]', 1],
    ['["a\tb"]', 1],
    ["// no\n[]", 0],
    ["[\u00a01]", 1],
    ["\ufeff[]", 0],
  ];
  test.each(table)("in %j is at %p", (text, offset) => {
    expect(() => JSON.parse(text)).toThrow();
    expect(findJsonFault(text)).toBe(offset);
  });

  test.each([GOOD, "1", '"x"', " null ", '{"a":{"b":[[]]}}\r\n'])("in %j is none", (text) => {
    expect(() => JSON.parse(text)).not.toThrow();
    expect(findJsonFault(text)).toBe(text.length);
  });

  test("agrees with JSON.parse on every text with one character more, less or other", () => {
    for (const text of NEIGHBOURS) {
      const fault = findJsonFault(text);
      // Up to the fault nothing is wrong, and where there is none, at most the end is missing.
      expect(findJsonFault(text.slice(0, fault))).toBe(fault);
      expect(fault === text.length).toBe(ENDS.some((end) => isJson(text + end)));
    }
  });
});
