// biome-ignore-all lint/suspicious/noTemplateCurlyInString: made-up sources as text
import { describe, expect, test } from "bun:test";
import { EXIT_STATUS } from "../../src/cli/exit-status.ts";
import { badMessages, codesIn, declaredCodes, type Maker } from "./support/errors.ts";
import { sources } from "./support/source.ts";

const SOURCES = sources();
const DECLARED = declaredCodes(
  SOURCES.find(({ path }) => path === "src/core/error.ts")?.text ?? "",
);

const MAKERS: readonly Maker[] = [
  { path: "src/cli/parse-argv.ts", call: "usage", argument: 0, isWhole: false },
  { path: "src/runtime/files.ts", call: "unusable", argument: 1, isWhole: false },
];

test("every message says Cannot, has no final period and no contraction", () => {
  expect(SOURCES.flatMap((source) => badMessages(source, MAKERS))).toEqual([]);
});

test("every maker is still there", () => {
  for (const { path, call } of MAKERS) {
    const text = SOURCES.find((source) => source.path === path)?.text ?? "";
    expect(`${path} ${text.includes(`${call}(`)}`).toBe(`${path} true`);
  }
});

test("every ErrorCode has an exit status", () => {
  expect(DECLARED.length).toBeGreaterThan(10);
  expect(Object.keys(EXIT_STATUS).sort()).toEqual([...DECLARED].sort());
});

test("every ErrorCode is given to an error somewhere", () => {
  const own = ["src/core/error.ts", "src/cli/exit-status.ts"];
  const given = new Set(SOURCES.filter(({ path }) => !own.includes(path)).flatMap(codesIn));
  expect(DECLARED.filter((code) => !given.has(code))).toEqual([]);
});

describe("badMessages() goes red on", () => {
  const table: readonly [text: string, problem: string][] = [
    ['throw new HeadgateError("The gate is busy", { code });', "does not begin with Cannot"],
    ['throw new HeadgateError("Cannot go on.", { code });', "ends in a period"],
    ["throw new HeadgateError(`Cannot go on: ${why}.`, { code });", "ends in a period"],
    ['throw new HeadgateError("Cannot go on: it isn\'t there", { code });', "has a contraction"],
    ["throw new HeadgateError(`Cannot go on: it's gone`, { code });", "has a contraction"],
    ["throw new HeadgateError(`${text}: no`, { code });", "does not begin with Cannot"],
    ['const PRE = "Can not: ";\nnew HeadgateError(`${PRE}x`, {});', "does not begin with Cannot"],
    ["throw new HeadgateError(text(), { code });", "is no literal that this check can follow"],
    ["const message = `No ${x}`;\nnew HeadgateError(message, {});", "does not begin with Cannot"],
    ['new HeadgateError(\n  "Broken",\n  { code },\n);', "does not begin with Cannot"],
  ];
  test.each(table)("%s", (text, problem) => {
    const found = badMessages({ path: "src/x.ts", text }, []);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(problem);
  });

  test("what a maker is given", () => {
    const text =
      'function f(message) { new HeadgateError(message, {}) }\nf("a"); f("Cannot b"); f("Cannot c.");';
    const maker = { path: "src/x.ts", call: "f", argument: 0, isWhole: true };
    expect(badMessages({ path: "src/x.ts", text }, [maker])).toHaveLength(2);
  });

  test("and stays green on good ones", () => {
    const text = [
      'new HeadgateError("Cannot go on", {});',
      "new HeadgateError(`Cannot use ${a({ b: 1 })}: ${c}`, {});",
      'const PREFIX = "Cannot load: ";\nnew HeadgateError(`${PREFIX}${x}`, {});',
      'const lines = [`Cannot ${verb}`];\nnew HeadgateError(lines.join("\\n"), {});',
      '// new HeadgateError("no.", {})',
    ].join("\n");
    expect(badMessages({ path: "src/x.ts", text }, [])).toEqual([]);
  });
});

test("codesIn() finds codes and nothing else", () => {
  const text = 'return { code: is ? "a-b" : "c" };\nconst code = "d";\nstop("e", "x");\nkind: "f"';
  expect(codesIn({ path: "src/x.ts", text })).toEqual(["a-b", "c", "d", "e"]);
});
