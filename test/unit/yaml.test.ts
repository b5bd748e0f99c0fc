import { describe, expect, test } from "bun:test";
import { renderYaml } from "../../src/core/yaml.ts";

const EVIL: readonly string[] = [
  "",
  " ",
  "a b",
  " a",
  "a ",
  "yes",
  "No",
  "TRUE",
  "null",
  "~",
  "on",
  "y",
  "12",
  "1e3",
  "0x1f",
  "1.5",
  ".inf",
  "NaN",
  "2026-11-22",
  "12:30",
  "a: b",
  "a:",
  ":a",
  "- a",
  "-",
  "--",
  "--flag",
  "-f",
  "a#b",
  "a #b",
  "#a",
  "*a",
  "&a",
  "!a",
  "%a",
  "@a",
  "`a",
  "'a'",
  '"a"',
  "{a}",
  "[a]",
  "a, b",
  "a,b",
  "?a",
  "| a",
  "> a",
  "a\nb",
  "a\tb",
  "a\\b",
  "ü",
  "{{ .x }}",
  "$" + "{A:-b}",
  "postgres://a:b@c:1/d",
  "host:5000/a/b:1.0@sha256:00ff",
  "/headgate",
  "a/b-c_d.e",
  "=",
  "<<",
  "a=b",
  "\u0007",
];

describe("renderYaml() is read back as it was by another's parser", () => {
  test.each(EVIL)("%j as value, key, list item and line", (text) => {
    const data = {
      value: text,
      [`k${text}`]: 1,
      list: [text, "x"],
      items: [{ a: text, b: [text] }],
    };
    expect(Bun.YAML.parse(renderYaml(data))).toEqual(data);
  });

  test("nested data of every kind", () => {
    const data = {
      empty: {},
      none: [],
      deep: [{ a: [{ b: { c: [1, 2.5, -3, true, false] } }, { d: {} }] }, { e: "f" }],
      list: [["a"], ["b", "c"]],
    };
    expect(Bun.YAML.parse(renderYaml(data))).toEqual(data);
  });

  test("random data, a thousand times", () => {
    let seed = 20261122;
    const draw = (n: number): number => {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      return Math.floor((seed / 2147483648) * n);
    };
    const text = (): string => EVIL[draw(EVIL.length)] ?? "";
    const kinds: readonly ((depth: number) => unknown)[] = [
      text,
      () => draw(1000) - 500,
      () => draw(2) === 0,
      (depth) => Array.from({ length: draw(4) }, () => value(depth + 1)),
      (depth) => {
        const entries = Array.from({ length: 1 + draw(3) }, (_, i) => [
          text() + i,
          value(depth + 1),
        ]);
        return Object.fromEntries(entries);
      },
    ];
    const value = (depth: number): unknown => kinds[draw(depth > 3 ? 3 : 5)]?.(depth);
    for (let i = 0; i < 1000; i += 1) {
      const data = { root: value(0) };
      expect(Bun.YAML.parse(renderYaml(data))).toEqual(data);
    }
  });
});

test("renderYaml() leaves out what is undefined and writes words as words", () => {
  const data = {
    a: undefined,
    args: ["up", "--stay"],
    image: "r.io:5000/a:1",
    items: [{ a: 1, b: 2 }],
  };
  expect(renderYaml(data)).toBe(
    "args: [up, --stay]\nimage: r.io:5000/a:1\nitems:\n  - a: 1\n    b: 2\n",
  );
});
