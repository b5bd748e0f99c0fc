import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { namedTerminationLog } from "../../src/cli/last-words.ts";
import { writeTerminationLog } from "../../src/runtime/termination-log.ts";
import { createScratchFolder } from "../support/scratch.ts";

const folder = createScratchFolder("termination-log");
const END = "Look\nexit status 4 (migration-failed)";

function written(message: string, end = END): Buffer {
  const path = join(folder, "log");
  expect(writeTerminationLog(path, { message, end })).toBeUndefined();
  return readFileSync(path);
}

describe("writeTerminationLog()", () => {
  test("replaces what an earlier run said", () => {
    written("Cannot do a long thing: it was too long");
    expect(written("Cannot go on").toString()).toBe(`Cannot go on\n${END}\n`);
  });

  const tail = `\n${END}\n`;
  const room = 4096 - tail.length;

  test("of a message that just fits keeps all of it", () => {
    const message = "x".repeat(room);
    expect(written(message).toString()).toBe(message + tail);
  });

  test.each([
    ["x", room + 1],
    ["x", 100_000],
    ["ü", 5000],
    ["xü", 5000],
    ["𝄞", 5000],
  ])("of a message that is %s %d times keeps the end, and no half a character", (unit, count) => {
    const bytes = written(unit.repeat(count));
    expect(bytes.length).toBeGreaterThan(4096 - 4);
    expect(bytes.length).toBeLessThanOrEqual(4096);
    expect(bytes.toString()).toEndWith(` […]${tail}`);
    expect(bytes.toString()).not.toContain("\uFFFD");
  });

  test("of an end that is too long alone keeps 4096 bytes", () => {
    expect(written("m", "ü".repeat(5000)).length).toBeLessThanOrEqual(4096);
  });

  test("says why a named file cannot be written", () => {
    const words = { message: "m", end: "e" };
    expect(writeTerminationLog(join(folder, "no", "log"), words)).toContain("ENOENT");
    mkdirSync(join(folder, "is-a-folder"));
    expect(writeTerminationLog(join(folder, "is-a-folder"), words)).toContain("EISDIR");
  });

  test("does not wait for the reader of a pipe", () => {
    const pipe = join(folder, "pipe");
    expect(Bun.spawnSync(["mkfifo", pipe]).exitCode).toBe(0);
    expect(writeTerminationLog(pipe, { message: "m", end: "e" })).toContain("ENXIO");
  });

  test("never makes the file of Kubernetes", () => {
    const path = "/dev/termination-log";
    const isThere = existsSync(path);
    for (const named of [undefined, path]) {
      expect(writeTerminationLog(named, { message: "m", end: "e" })).toBeUndefined();
    }
    expect(existsSync(path)).toBe(isThere);
  });
});

describe("namedTerminationLog()", () => {
  const env = { HEADGATE_TERMINATION_LOG: "/env" };
  const table: readonly [
    argv: readonly string[],
    env: Record<string, string>,
    file: string | undefined,
  ][] = [
    [["up", "--bogus"], {}, undefined],
    [["up", "--bogus"], env, "/env"],
    [["up", "--bogus"], { HEADGATE_TERMINATION_LOG: "" }, undefined],
    [["up", "--termination-log", "/flag", "--bogus"], env, "/flag"],
    [["up", "--bogus", "--termination-log=/a=b"], env, "/a=b"],
    [["up", "--termination-log", "--bogus"], env, "/env"],
    [["up", "--termination-log"], env, "/env"],
    [["up", "--termination-log="], {}, undefined],
  ];
  test.each(table)("of %p with %p", (argv, given, file) => {
    expect(namedTerminationLog(argv, given)).toBe(file as string);
  });
});
