import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  loadBundle,
  loadSpec,
  renderBundleModule,
  renderHeadModule,
  renderMarkModule,
  renderSums,
} from "../../.ci/generate.ts";
import { fingerprintOf } from "../../src/core/checksum.ts";
import type { RbacSpec } from "../../src/core/rbac.ts";
import { FILES } from "../../src/embed/bundle.gen.ts";
import { loadRbacSpec, RBAC_MARK } from "../../src/embed/rbac.ts";
import { loadEmbedded } from "../../src/embed/source.ts";
import { ROOT } from "./support/source.ts";
import { gapsOf } from "./support/sums.ts";

const BUNDLE = loadBundle(join(ROOT, "migrations"));
const SPEC = loadSpec();

/** What every number of src/embed/rbac-seed.json stands for. Append, never change. */
const ROLES_BY_NUMBER: Readonly<Record<number, string>> = {
  1: "2b01129282e2ddfb084a6d2a9baf38086e91f70a74f284e40639ba0c133dbd1f",
};

/** Two binaries of one number with other roles would undo each other's work, again and again. */
function problemOf(
  { number, roles }: RbacSpec,
  known: Readonly<Record<number, string>>,
): string | undefined {
  const fingerprint = fingerprintOf(roles);
  const line = `add the line "${number}: ${fingerprint}" to ROLES_BY_NUMBER`;
  const highest = Math.max(...Object.keys(known).map(Number));
  if (number < highest) return `the number has fallen to ${number}: make it ${highest + 1}`;
  if (number > highest + 1) return `the number has skipped some: make it ${highest + 1}`;
  if (number > highest) return `number ${number} is new: ${line}`;
  if (known[number] === fingerprint) return undefined;
  return `the roles have changed and their number has not: make it ${number + 1} in src/embed/rbac-seed.json, run "bun run generate", then add its line to ROLES_BY_NUMBER`;
}

describe("generated files are what bun run generate writes:", () => {
  const table: readonly [file: string, rendered: string][] = [
    ["src/embed/bundle.gen.ts", renderBundleModule(BUNDLE, "../../migrations/")],
    ["src/embed/head.gen.ts", renderHeadModule(BUNDLE)],
    ["src/embed/rbac-mark.gen.ts", renderMarkModule(SPEC)],
    ["migrations/SHA256SUMS", renderSums(BUNDLE)],
  ];
  test.each(table)("%s", (file, rendered) => {
    const isSame = readFileSync(join(ROOT, file), "utf8") === rendered;
    expect(isSame ? "up to date" : `${file} is stale: run "bun run generate"`).toBe("up to date");
  });
});

test("the embedded migrations are the folder's, whole", async () => {
  expect(FILES.map(({ file }) => file)).toEqual(BUNDLE.map(({ file }) => file));
  expect(await loadEmbedded()).toEqual([...BUNDLE]);
});

test("the embedded versions are 1..n without a gap", () => {
  expect(gapsOf(BUNDLE.map(({ version }) => version))).toEqual([]);
});

test("gapsOf() goes red on a gap and on another start", () => {
  expect(gapsOf([1, 2, 4])).toEqual(["3 is missing"]);
  expect(gapsOf([2, 3])).toEqual(["1 is missing"]);
  expect(gapsOf([1, 2, 3])).toEqual([]);
});

test("the embedded roles are those that their number has always stood for", () => {
  expect(problemOf(SPEC, ROLES_BY_NUMBER) ?? "unchanged").toBe("unchanged");
});

test("the embedded roles are the file's, and their mark is theirs", async () => {
  expect(await loadRbacSpec()).toEqual(SPEC);
  const fingerprint = fingerprintOf(SPEC.roles);
  expect(RBAC_MARK).toEqual({ name: "rbac", number: SPEC.number, fingerprint });
});

test("no embedded role is there twice", () => {
  const names = SPEC.roles.map(({ name, scope }) => `${name} (${scope})`);
  expect(names).toEqual([...new Set(names)]);
});

describe("problemOf() goes red", () => {
  const role = SPEC.roles[0];
  const known = { 1: fingerprintOf([]), 2: fingerprintOf(role ? [role] : []) };
  const table: readonly [when: string, spec: RbacSpec, then: string | undefined][] = [
    ["not on roles that are known", { number: 2, roles: role ? [role] : [] }, undefined],
    ["on a change", { number: 2, roles: [] }, "make it 3"],
    ["on a change back with its old number", { number: 1, roles: [] }, "make it 3"],
    ["on a new number", { number: 3, roles: [] }, `"3: ${fingerprintOf([])}"`],
    ["on a number that is too high", { number: 4, roles: [] }, "make it 3"],
  ];
  test.each(table)("%s", (_when, spec, then) => {
    const problem = problemOf(spec, known);
    if (then === undefined) expect(problem).toBeUndefined();
    else expect(problem).toContain(then);
  });

  test("on another order of permissions, description or kind: all of it is seeded", () => {
    const [first, second] = SPEC.roles;
    if (!first || !second) throw new Error("there are no roles");
    const changed: RbacSpec["roles"][] = [
      [second, first],
      [first, { ...second, permissions: second.permissions.toReversed() }],
      [first, { ...second, description: "another" }],
      [first, { ...second, isSystemRole: false }],
    ];
    const one = { 1: fingerprintOf([first, second]) };
    expect(problemOf({ number: 1, roles: [first, second] }, one)).toBeUndefined();
    for (const roles of changed)
      expect(problemOf({ number: 1, roles }, one)).toContain("make it 2");
  });
});
