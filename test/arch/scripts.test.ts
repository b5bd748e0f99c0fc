/** The npm scripts, and what CI makes of what `bun test` prints. */
import { describe, expect, test } from "bun:test";
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
});
