import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { VERSION } from "../../src/embed/version.ts";
import { inexactVersions, LOCK_FILES, type Manifest } from "./support/manifest.ts";
import { ROOT } from "./support/source.ts";

const MANIFEST = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as Manifest;

test("the version of the binary is the package's", () => {
  expect(VERSION).toBe(MANIFEST.version);
  expect(VERSION).toMatch(/^\d+\.\d+\.\d+(-[\w.]+)?$/);
});

test("three dependencies at run time", () => {
  expect(Object.keys(MANIFEST.dependencies ?? {}).sort()).toEqual(["cac", "postgres", "valibot"]);
});

test("every dependency has an exact version", () => {
  expect(inexactVersions(MANIFEST)).toEqual([]);
});

test.each(["tsconfig.json", "biome.json", "deno.json", "bunfig.toml"])("%s is there", (file) => {
  expect(existsSync(join(ROOT, file))).toBe(true);
});

test("one lock file", () => {
  expect(readdirSync(ROOT).filter((file) => LOCK_FILES.includes(file))).toEqual(["bun.lock"]);
});

describe("inexactVersions() goes red on", () => {
  test.each([
    "^1.2.3",
    "~1.2.3",
    ">=1.2.3",
    "1.2",
    "1.x",
    "*",
    "latest",
    "",
    "npm:x@^1.2.3",
    "github:a/b",
  ])("%p", (range) => {
    expect(inexactVersions({ version: "1.0.0", optionalDependencies: { x: range } })).toEqual([
      `optionalDependencies x: ${range}`,
    ]);
  });

  test.each(["1.2.3", "1.2.3-beta.17", "npm:@a/b@14.23.0-beta.17"])("but not on %p", (range) => {
    expect(inexactVersions({ version: "1.0.0", dependencies: { x: range } })).toEqual([]);
  });
});
