import { describe, expect, test } from "bun:test";
import { renderPreview, renderSeed, toSeeds } from "../../src/cli/render-seed.ts";
import type { RbacChange } from "../../src/core/rbac.ts";
import type { SeedPreview } from "../../src/flow/plan-seeds.ts";
import type { SeedChange, SeedReport } from "../../src/flow/seeding.ts";

const NOTHING: SeedReport = {
  changes: [],
  conflicts: [],
  password: undefined,
  files: [],
  skipped: undefined,
};

/** Every kind once, in the order in which they are written. */
const WHAT: Readonly<Record<RbacChange["kind"], string>> = {
  "normalise-team": 'team "Old", visibility "team" becomes private',
  "create-admin": "admin@example.com",
  "set-password": "admin@example.com",
  "promote-admin": "admin@example.com",
  "create-role": "viewer (team), 18 permissions",
  "converge-role": "developer (team): +tools.read",
  "create-team": "Mine (mine)",
  "add-member": "owner of the personal team",
  "add-history": "owner of the personal team",
  "retire-grant": "expired grant of viewer",
  "grant-role": "platform_admin, everywhere",
  "assign-orphan": 'servers "x", public',
};
const CHANGES = Object.entries(WHAT).map(
  ([kind, what]): SeedChange => ({ kind: kind as RbacChange["kind"], what }),
);
const REASON = "duplicate key value violates unique constraint (SQLSTATE 23505)";
const CONFLICT = { what: 'tools "x", public', reason: REASON };

describe("renderSeed()", () => {
  test("of nothing", () => {
    expect(renderSeed(NOTHING)).toBe("Nothing to seed\n");
  });

  test("of every change", () => {
    expect(renderSeed({ ...NOTHING, changes: CHANGES })).toMatchInlineSnapshot(`
      "Seeded 12 changes
        made private: team "Old", visibility "team" becomes private
        created admin admin@example.com
        gave a password to admin@example.com
        made an administrator again: admin@example.com
        created role viewer (team), 18 permissions
        converged role developer (team): +tools.read
        created team Mine (mine)
        added the owner of the personal team
        recorded the owner of the personal team
        retired the expired grant of viewer
        granted platform_admin, everywhere
        assigned servers "x", public
      "
    `);
  });

  test("of one change, and what else there is to say", () => {
    const report: SeedReport = {
      ...NOTHING,
      changes: CHANGES.slice(1, 2),
      conflicts: [CONFLICT],
      password: "generated",
    };
    expect(renderSeed(report)).toMatchInlineSnapshot(`
      "Seeded 1 change
        created admin admin@example.com
        not assigned tools "x", public: duplicate key value violates unique constraint (SQLSTATE 23505)
        the admin's password is in the file of --generated-password-file
      "
    `);
  });

  test("of files alone", () => {
    const files = ["1_teams.sql", "2_tags.sql"];
    expect(renderSeed({ ...NOTHING, files })).toMatchInlineSnapshot(`
      "Seeded 2 changes
        ran 1_teams.sql
        ran 2_tags.sql
      "
    `);
    expect(renderSeed({ ...NOTHING, files: ["1_teams.sql"] })).toStartWith("Seeded 1 change\n");
  });

  test("of a conflict alone does not say that nothing was to do", () => {
    expect(renderSeed({ ...NOTHING, conflicts: [CONFLICT] })).toMatchInlineSnapshot(`
      "Seeded 0 changes
        not assigned tools "x", public: duplicate key value violates unique constraint (SQLSTATE 23505)
      "
    `);
  });

  test("of what was skipped, and of what was seeded all the same", () => {
    const skipped = "the database has no roles";
    expect(renderSeed({ ...NOTHING, skipped })).toBe(
      "Seeding skipped: the database has no roles\n",
    );
    expect(renderSeed({ ...NOTHING, skipped, files: ["1_teams.sql"] })).toMatchInlineSnapshot(`
      "Seeded 1 change
        ran 1_teams.sql
      "
    `);
  });

  const passwords: readonly [kind: NonNullable<SeedReport["password"]>, word: string][] = [
    ["given", "PLATFORM_ADMIN_PASSWORD"],
    ["generated", "--generated-password-file"],
    ["disabled", "cannot log in: set PLATFORM_ADMIN_PASSWORD"],
  ];
  test.each(passwords)("says how the new admin logs in: %s", (password, word) => {
    const text = renderSeed({ ...NOTHING, changes: CHANGES.slice(1, 2), password });
    expect(text.split("\n")).toHaveLength(4);
    expect(text.split("\n")[2]).toContain(word);
  });
});

describe("toSeeds()", () => {
  test("has every field, null for what is not there", () => {
    expect(toSeeds(NOTHING)).toEqual({
      changes: [],
      conflicts: [],
      files: [],
      password: null,
      skipped: null,
    });
  });

  test("has what the report has", () => {
    const report: SeedReport = {
      changes: CHANGES,
      conflicts: [CONFLICT],
      password: "disabled",
      files: ["1_teams.sql"],
      skipped: "a newer version has seeded this database",
    };
    expect(toSeeds(report)).toEqual({ ...report });
  });
});

describe("renderPreview()", () => {
  const nothing: SeedPreview = { changes: [], files: [], skipped: undefined, unbacked: [] };

  test("of nothing is nothing", () => {
    expect(renderPreview(undefined)).toBe("");
    expect(renderPreview(nothing)).toBe("");
  });

  test("is SQL comments only", () => {
    const unbacked = ["email_users (email)"];
    const text = renderPreview({ ...nothing, changes: CHANGES, files: ["1_teams.sql"], unbacked });
    expect(text).toMatchInlineSnapshot(`
      "-- Refused without --without-constraints: no index on email_users (email)
      -- Seed: make private: team "Old", visibility "team" becomes private
      -- Seed: create admin admin@example.com
      -- Seed: give a password to admin@example.com
      -- Seed: make an administrator again: admin@example.com
      -- Seed: create role viewer (team), 18 permissions
      -- Seed: converge role developer (team): +tools.read
      -- Seed: create team Mine (mine)
      -- Seed: add the owner of the personal team
      -- Seed: record the owner of the personal team
      -- Seed: retire the expired grant of viewer
      -- Seed: grant platform_admin, everywhere
      -- Seed: assign servers "x", public
      -- Seed: run 1_teams.sql
      "
    `);
    expect(text.split("\n").filter((line) => !/^(?:-- .*)?$/.test(line))).toEqual([]);
  });
});
