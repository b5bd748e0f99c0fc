import { describe, expect, test } from "bun:test";
import {
  describeState,
  renderDown,
  renderPlan,
  renderStatus,
  renderUp,
} from "../../src/cli/render.ts";
import { toStatus } from "../../src/cli/report-json.ts";
import { toJson } from "../../src/cli/to-json.ts";
import type { HeadState } from "../../src/core/head.ts";
import type { Applied } from "../../src/flow/apply.ts";
import type { SeedPreview } from "../../src/flow/plan-seeds.ts";
import type { SeedReport } from "../../src/flow/seeding.ts";
import { toReport } from "../../src/flow/status.ts";
import { bundleOf, foreignRow, present, rowFor } from "./ledgers.ts";

const ONE: Applied = { version: 1, name: "create_users", durationMs: 12 };
const TWO: Applied = { version: 2, name: "create_teams", durationMs: 1488 };
const BUNDLE = bundleOf(8, 9, 10);
const NOTHING_SEEDED: SeedReport = {
  changes: [],
  conflicts: [],
  password: undefined,
  files: [],
  skipped: undefined,
};

describe("renderUp()", () => {
  const nothing = { applied: [], head: 14, waitedMs: 0, seeds: undefined } as const;
  const table: readonly [path: "fast" | "slow" | "skipped", text: string][] = [
    ["fast", "Nothing to do: version 14 is there (fast path)\n"],
    ["slow", "Nothing to do: version 14 is there (slow path)\n"],
    ["skipped", "Migrations skipped: they are another runner's\n"],
  ];
  test.each(table)("of nothing on the %s path", (path, text) => {
    expect(renderUp({ ...nothing, path })).toBe(text);
  });

  test("of one migration", () => {
    expect(renderUp({ ...nothing, path: "slow", applied: [ONE] })).toMatchInlineSnapshot(`
      "Applied 1 migration in 12 ms (slow path)
        1 create_users (12 ms)
      "
    `);
  });

  test("of two migrations", () => {
    expect(renderUp({ ...nothing, path: "slow", applied: [ONE, TWO] })).toMatchInlineSnapshot(`
      "Applied 2 migrations in 1.5 s (slow path)
        1 create_users (12 ms)
        2 create_teams (1.488 s)
      "
    `);
  });

  test("of what was seeded after them", () => {
    const change = { kind: "create-role", what: "viewer (team), 18 permissions" } as const;
    const seeds = { ...NOTHING_SEEDED, changes: [change] };
    expect(renderUp({ ...nothing, path: "slow", applied: [ONE], seeds })).toMatchInlineSnapshot(`
      "Applied 1 migration in 12 ms (slow path)
        1 create_users (12 ms)
      Seeded 1 change
        created role viewer (team), 18 permissions
      "
    `);
    expect(renderUp({ ...nothing, path: "fast", seeds: NOTHING_SEEDED })).toMatchInlineSnapshot(`
      "Nothing to do: version 14 is there (fast path)
      Nothing to seed
      "
    `);
  });
});

describe("renderDown()", () => {
  test("of nothing", () => {
    expect(renderDown({ reverted: [], at: undefined })).toBe("Nothing to revert\n");
  });

  test("of two migrations, newest first", () => {
    expect(renderDown({ reverted: [TWO, ONE], at: undefined })).toMatchInlineSnapshot(`
      "Reverted 2 migrations
        2 create_teams
        1 create_users
      "
    `);
  });
});

describe("renderPlan()", () => {
  const NOTHING: SeedPreview = { changes: [], files: [], skipped: undefined, unbacked: [] };

  test("of nothing", () => {
    expect(renderPlan({ pending: [], waits: false, seeds: undefined })).toBe("-- Nothing to do\n");
    expect(renderPlan({ pending: [], waits: false, seeds: NOTHING })).toBe("-- Nothing to do\n");
  });

  test("of another runner's build", () => {
    const report = { pending: [], waits: true, seeds: undefined };
    expect(renderPlan(report)).toMatch(/^-- .*another runner.*\n$/);
  });

  test("of pending migrations: SQL that can be run", () => {
    const report = { pending: BUNDLE.slice(1), waits: false, seeds: undefined };
    expect(renderPlan(report)).toMatchInlineSnapshot(`
      "-- 9_m9.sql (sha256 b52839a3edb14685cd8435a744bb2c6898025d5f122d36e4bfe55a67ecb7e9c2), in one transaction with its ledger row
      select 9;

      -- 10_m10.sql (sha256 dc7c2856a0ae561b75f179063aacd39c4a85c9ad62fe86c02dc941fb60b5b827), in one transaction with its ledger row
      select 10;
      "
    `);
  });
});

describe("renderPlan() with seeds", () => {
  const seeds: SeedPreview = {
    changes: [{ kind: "create-admin", what: "admin@example.com" }],
    files: ["1_teams.sql"],
    skipped: undefined,
    unbacked: ["roles (name, scope) where is_active"],
  };

  test("and nothing pending", () => {
    expect(renderPlan({ pending: [], waits: false, seeds })).toMatchInlineSnapshot(`
      "-- Refused without --without-constraints: no index on roles (name, scope) where is_active
      -- Seed: create admin admin@example.com
      -- Seed: run 1_teams.sql
      "
    `);
  });

  test("after the pending migrations, and only as comments", () => {
    const text = renderPlan({ pending: BUNDLE.slice(2), waits: false, seeds });
    expect(text).toMatchInlineSnapshot(`
      "-- 10_m10.sql (sha256 dc7c2856a0ae561b75f179063aacd39c4a85c9ad62fe86c02dc941fb60b5b827), in one transaction with its ledger row
      select 10;

      -- Refused without --without-constraints: no index on roles (name, scope) where is_active
      -- Seed: create admin admin@example.com
      -- Seed: run 1_teams.sql
      "
    `);
    const sql = text.split("\n").filter((line) => line !== "" && !line.startsWith("--"));
    expect(sql).toEqual(["select 10;"]);
  });
});

describe("renderStatus()", () => {
  const [first, second] = BUNDLE;

  test("of a fresh database", () => {
    expect(renderStatus(toReport(BUNDLE, { kind: "absent" }, "at-least"))).toMatchInlineSnapshot(`
      "fresh: nothing is applied, 3 pending; probe answers 1

      8   pending  m8
      9   pending  m9
      10  pending  m10
      "
    `);
  });

  test("of a ledger with everything in it", () => {
    const ledger = present(
      foreignRow(3, { appliedBy: null, toolVersion: null, durationMs: null, finishedAt: null }),
      rowFor(first),
      rowFor(second ?? first, {
        state: "failed",
        error: "out of disk",
        breaking: true,
        finishedAt: null,
        durationMs: null,
      }),
      foreignRow(11, { breaking: true }),
    );
    expect(renderStatus(toReport(BUNDLE, ledger, "at-least"))).toMatchInlineSnapshot(`
      "drifted: 3 (unknown), 10 (missing); probe answers 1

      3   unknown      theirs
      8   applied      m8      2026-01-02T03:04:06.500Z  1.5 s  app@host:1
      9   interrupted  m9      app@host:1  out of disk  breaking
      10  drifted      m10
      11  unknown      theirs  2026-01-02T03:04:06.500Z  1.5 s  app@host:1  breaking
      "
    `);
  });

  test("says what the probe answers", () => {
    const ledger = present(...BUNDLE.map((migration) => rowFor(migration)), foreignRow(11));
    expect(renderStatus(toReport(BUNDLE, ledger, "at-least"))).toContain("; probe answers 0\n");
    expect(renderStatus(toReport(BUNDLE, ledger, "exact"))).toContain("; probe answers 1\n");
  });

  test("says why the seeds are stale, as text and as JSON", () => {
    const ledger = present(...BUNDLE.map((migration) => rowFor(migration)));
    const done = toReport(BUNDLE, ledger, "at-least");
    expect(done.staleSeeds).toBeUndefined();
    expect(renderStatus(done)).not.toContain("seeds");
    expect(toStatus(done, describeState)).toMatchObject({ state: "at-head", ready: true });
    const staleSeeds = "seeds rbac have never been recorded";
    const stale = { ...done, isReady: false, probe: 1, staleSeeds } as const;
    expect(renderStatus(stale)).toStartWith(
      "at-head: every migration is applied, every checksum matches; seeds-stale: seeds rbac have never been recorded; probe answers 1\n",
    );
    expect(toStatus(stale, describeState)).toMatchObject({
      state: "seeds-stale",
      ready: false,
      probe: 1,
      reason: staleSeeds,
    });
  });
});

describe("describeState()", () => {
  const row = rowFor(BUNDLE[0], { state: "running" });
  const table: readonly [state: HeadState, text: string][] = [
    [{ kind: "at-head" }, "at-head: every migration is applied, every checksum matches"],
    [
      { kind: "ahead", extra: [row], breaking: false },
      "ahead: all of ours are applied, and 1 migration more",
    ],
    [
      { kind: "ahead", extra: [row, row], breaking: true },
      "ahead: all of ours are applied, and 2 migrations more, one of them breaking",
    ],
    [{ kind: "fresh", pending: BUNDLE }, "fresh: nothing is applied, 3 pending"],
    [{ kind: "behind", pending: bundleOf(9) }, "behind: 1 migration pending, first 9_m9.sql"],
    [{ kind: "running", row }, "running: 8 m8 is being built"],
    [{ kind: "interrupted", row }, "interrupted: 8 m8 is running, and nobody works on it"],
    [
      {
        kind: "drifted",
        drifts: [
          { version: 8, why: "checksum" },
          { version: 9, why: "missing" },
        ],
      },
      "drifted: 8 (checksum), 9 (missing)",
    ],
  ];
  test.each(table)("of %j", (state, text) => {
    expect(describeState(state)).toBe(text);
  });
});

test("toJson() is one line with its version first", () => {
  expect(toJson("up", { path: "fast", note: "a\nb" })).toBe(
    '{"v":1,"command":"up","path":"fast","note":"a\\nb"}\n',
  );
});
