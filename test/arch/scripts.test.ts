/** The npm scripts, and what CI makes of what `bun test` prints. */
import { describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { readSummary } from "../../.ci/bun-summary.ts";
import manifest from "../../package.json" with { type: "json" };
import { ROOT } from "./support/source.ts";

const INSTALL = `npx --yes bun@${manifest.devDependencies.bun} install --frozen-lockfile`;
const SCRIPTS = [
  "quickstart",
  "test",
  "build",
  "image",
  "release",
  "check",
  "matrix",
  "bench",
  "generate",
] as const;

function versionsOfBun(text: string): readonly string[] {
  return [...text.matchAll(/\bbun@(\d[\w.-]*)/g)].map(([, version]) => version ?? "");
}

test.each(SCRIPTS)("npm run %s installs first, then runs the Bun that was installed", (name) => {
  const [install, ...rest] = manifest.scripts[name].split(" && ");
  expect(install).toStartWith(INSTALL);
  expect(rest.at(-1)).toStartWith("node_modules/.bin/bun ");
});

test.each(["package.json", "README.md", ".ci/run"])(
  "every bun@ in %s is the same version",
  (file) => {
    const path = join(ROOT, file);
    const versions = existsSync(path) ? versionsOfBun(readFileSync(path, "utf8")) : [];
    expect(versions.filter((version) => version !== manifest.devDependencies.bun)).toEqual([]);
  },
);

test(".ci/run can be executed, and runs the README's test command", () => {
  const path = join(ROOT, ".ci/run");
  expect(() => accessSync(path, constants.X_OK)).not.toThrow();
  expect(readFileSync(path, "utf8")).toMatch(/^suite .* npm test$/m);
});

describe("readSummary()", () => {
  const good =
    "(pass) a [0.04ms]\n\n 2 pass\n 0 fail\n 7 expect() calls\nRan 2 tests across 1 file. [9.00ms]\n";
  const skip =
    "(pass) a\n(skip) b c\n(todo) d [1.00ms]\n\n --seed=1\n 1 pass\n 1 skip\n 1 todo\n 0 fail\nRan 3 tests across 1 file.\n";
  const nameless = "\n 1 pass\n 1 skip\n 0 fail\nRan 2 tests across 1 file.\n";
  const red = "(fail) a\n\n 1 pass\n 2 fail\n 1 error\nRan 3 tests across 2 files. [1.00s]\n";
  const colourful = good.replace(" 2 pass", "\u001b[0m\u001b[32m 2 pass\u001b[0m");
  const table: readonly [when: string, output: string, status: number | string, then: string][] = [
    ["everything passed", good, 0, "2 passed, 0 failed"],
    ["it is colourful", colourful, 0, "2 passed, 0 failed"],
    ["tests were skipped", skip, 0, "1 passed, 0 failed, without b c + d"],
    [
      "tests are listed twice",
      `(skip) a\n\n1 tests skipped:\n(skip) a\n${nameless}`,
      0,
      "1 passed, 0 failed, without a",
    ],
    [
      "only the number tells of a skipped one",
      nameless,
      0,
      "1 passed, 0 failed, without (no name)",
    ],
    ["tests failed", red, 1, "1 passed, 2 failed"],
    ["the status alone tells of a failure", good, 1, "2 passed, 1 failed"],
    ["a test ended the runner with 0", "(pass) a\n", 0, "0 passed, 1 failed"],
    ["the runner crashed", "(pass) a\n", "SIGSEGV", "0 passed, 1 failed"],
    ["an earlier summary is in the output", `${red}${good}`, 0, "2 passed, 0 failed"],
    [
      "no name matches -t",
      'error: regex "x" matched 0 tests. Searched 1 file\n',
      1,
      "0 passed, 0 failed",
    ],
  ];

  test.each(table)("when %s", (_when, output, status, then) => {
    const { passed, failed, skipped } = readSummary(output, status);
    const without = skipped.length === 0 ? "" : `, without ${skipped.join(" + ")}`;
    expect(`${passed} passed, ${failed} failed${without}`).toBe(then);
  });

  const failing: readonly [
    what: string,
    output: string,
    status: number | string,
    then: string[],
  ][] = [
    ["nothing, when nothing failed", good, 0, []],
    [
      "file and test",
      `test/a.test.ts:\n(pass) a\n\ntest/b.test.ts:\n${red}`,
      1,
      ["test/b.test.ts: a"],
    ],
    [
      "the error above it, without the place",
      `a.test.ts:\n(fail) a\n1 | code\nerror: expect(received).toBe(expected)\n\nExpected: 2\nReceived: 1\n\n      at x (a.test.ts:3:30)\n(fail) b > c [0.2ms]\n${red}`,
      1,
      [
        "a.test.ts: a",
        "a.test.ts: b > c",
        "  error: expect(received).toBe(expected)",
        "  Expected: 2",
        "  Received: 1",
        "a.test.ts: a",
      ],
    ],
    [
      "a timeout below it",
      `a.test.ts:\n(fail) late [50.27ms]\n  ^ this test timed out after 50ms.\n\n${good}`,
      1,
      [
        "a.test.ts: late",
        "  ^ this test timed out after 50ms.",
        "a.test.ts: bun test ended with 1, no test failed",
      ],
    ],
    [
      "each once, though a long run lists them again",
      `a.test.ts:\n(fail) a\n\n1 tests failed:\n(fail) a\n\n 1 fail\nRan 1 test across 1 file.\n`,
      1,
      ["a.test.ts: a"],
    ],
    [
      "an error outside of tests",
      `a.test.ts:\n\n# Unhandled error between tests\n---\nerror: Cannot find module\n---\n\n 1 fail\nRan 1 test across 1 file.\n`,
      1,
      ["a.test.ts: Unhandled error between tests"],
    ],
    [
      "where a runner crashed",
      "a.test.ts:\n(pass) a\n",
      "SIGSEGV",
      ["a.test.ts: bun test ended without a summary (SIGSEGV)"],
    ],
  ];
  test.each(failing)("names %s", (_what, output, status, then) => {
    expect(readSummary(output, status).failures).toEqual(then);
  });
});

describe(".ci/run ends in the names of what failed", () => {
  // Its functions, without its parts.
  const text = readFileSync(join(ROOT, ".ci/run"), "utf8");
  const [functions = ""] = text.slice(text.indexOf("announce()")).split(/^suite "/m);
  const end = text.slice(text.lastIndexOf("printf '\\n'"));
  const run = (parts: string): string =>
    spawnSync(
      "bash",
      [
        "-c",
        `passed=0 failed=0 report=() failures=() log=$(mktemp)\n${functions}\n${parts}\n${end}`,
      ],
      {
        encoding: "utf8",
      },
    ).stdout;

  test.each([
    ["a check", "check 'types' 9 false", ["failed: types"]],
    [
      "a suite's tests",
      "suite 'tests' 9 printf 'failed: a: b\\nfailed:   error: c\\n1 passed, 1 failed\\n'",
      ["failed: a: b", "failed:   error: c"],
    ],
    ["a suite that names none", "suite 'tests' 9 echo '1 passed, 1 failed'", ["failed: tests"]],
    ["a suite that says nothing", "suite 'tests' 9 true", ["failed: tests"]],
    ["nothing", "check 'types' 9 true\nsuite 'tests' 9 echo '2 passed, 0 failed'", []],
  ])("%s", (_what, parts, then) => {
    const lines = run(parts).trimEnd().split("\n");
    expect(lines.at(-1)).toMatch(/^\d+ passed, \d+ failed$/);
    expect(lines.slice(-1 - then.length, -1)).toEqual(then);
    expect(lines.at(-2 - then.length)).toMatch(/ passed .* failed /);
  });
});
