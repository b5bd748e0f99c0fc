import { describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./support/source.ts";
import { changedSums } from "./support/sums.ts";

const FILE = "migrations/SHA256SUMS";
const TODAY = readFileSync(join(ROOT, FILE), "utf8");

/** Undefined when git or what is asked for is not there. */
function git(...args: readonly string[]): string | undefined {
  try {
    return execFileSync("git", args, { cwd: ROOT, stdio: ["ignore", "pipe", "ignore"] }).toString();
  } catch {
    return undefined;
  }
}

const TAG = git("describe", "--tags", "--abbrev=0")?.trim();

test.skipIf(TAG === undefined)(`migrations released by ${TAG ?? "a tag"} are unchanged`, () => {
  expect(changedSums(git("show", `${TAG}:${FILE}`) ?? "", TODAY)).toEqual([]);
});

describe("changedSums()", () => {
  const sum = (digit: string, file: string): string => `${digit.repeat(64)}  ${file}\n`;
  const released = sum("a", "0001_a.sql") + sum("b", "0002_b.sql");

  test("is content with new migrations behind the released ones", () => {
    expect(changedSums(released, released + sum("c", "0003_c.sql"))).toEqual([]);
    expect(changedSums("", TODAY)).toEqual([]);
    expect(changedSums(TODAY, TODAY)).toEqual([]);
  });

  test("goes red on an edited one, a missing one and a renamed one", () => {
    expect(changedSums(released, sum("a", "0001_a.sql") + sum("f", "0002_b.sql"))).toEqual([
      "0002_b.sql was released and has changed: put it back, add a new one",
    ]);
    expect(changedSums(released, sum("b", "0002_b.sql"))).toEqual([
      "0001_a.sql was released and is gone",
    ]);
    expect(changedSums(released, sum("a", "0001_a.sql") + sum("b", "0002_c.sql"))).toHaveLength(1);
  });

  test("goes red on a file that is no list of checksums", () => {
    expect(() => changedSums(released, "<<<<<<< HEAD\n")).toThrow("no checksum line");
  });
});
