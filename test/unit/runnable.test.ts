import { expect, test } from "bun:test";
import { buildBundle } from "../../src/core/bundle.ts";
import type { Bundle } from "../../src/core/migration.ts";
import { type Direction, refuseUnrunnable } from "../../src/core/runnable.ts";

const bundleOf = (...texts: readonly string[]): Bundle =>
  buildBundle(
    texts.map((text, at) => ({ file: `${at + 1}_a.sql`, text })),
    "test",
  );

function failure(bundle: Bundle, direction?: Direction): readonly string[] {
  try {
    refuseUnrunnable(bundle, direction);
  } catch (error) {
    expect(error).toMatchObject({ code: "bundle-invalid", hint: expect.any(String) });
    return error instanceof Error ? error.message.split("\n") : [];
  }
  return [];
}

const BOTH = "-- migrate:up\nselect 1;\n-- migrate:down\ncommit;";

const runnable: readonly [when: string, bundle: Bundle, direction: Direction][] = [
  ["nothing is pending", [], "up"],
  ["every statement is allowed", bundleOf("select 1; set local a.b = 1;", "savepoint a"), "up"],
  ["only the other part is refused", bundleOf(BOTH), "up"],
  ["the down part is fine", bundleOf("-- migrate:up\ncommit;\n-- migrate:down\nselect 1"), "down"],
];

test.each(runnable)(
  "refuseUnrunnable() lets migrations through when %s",
  (_when, bundle, direction) => {
    expect(failure(bundle, direction)).toEqual([]);
  },
);

test("refuseUnrunnable() names every refused statement of every migration at its place in the file", () => {
  const bundle = bundleOf("-- migrate:up\n\tset a = 1;\nselect 1; commit", "select 1", "abort");
  expect(failure(bundle)).toEqual([
    "Cannot apply the pending migrations: 3 problems, nothing was run",
    "1_a.sql:2:2: SET is refused: it outlives the migration and reaches other clients through a pooler; use SET LOCAL",
    "  2 | \tset a = 1;",
    "    | \t^",
    expect.stringMatching(/^1_a\.sql:3:11: COMMIT is refused: /),
    "  3 | select 1; commit",
    "    |           ^",
    expect.stringMatching(/^3_a\.sql:1:1: ABORT is refused: /),
    "  1 | abort",
    "    | ^",
  ]);
});

test("refuseUnrunnable() lets a migration outside a transaction run what needs none", () => {
  const sql = "-- migrate:up transaction:false\ncreate index concurrently i on a (b);\nvacuum a;";
  expect(failure(bundleOf(sql))).toEqual([]);
});

test("refuseUnrunnable() refuses in each kind of migration what belongs into the other", () => {
  const outside = "-- migrate:up transaction:false statement_timeout:1s\nset local a.b = 1;";
  expect(failure(bundleOf("select 1;\nvacuum a", outside))).toEqual([
    "Cannot apply the pending migrations: 3 problems, nothing was run",
    "1_a.sql:2:1: VACUUM is refused: it cannot run in a transaction; put it into a migration of its own, with transaction:false on its marker or first line",
    "  2 | vacuum a",
    "    | ^",
    "2_a.sql: statement_timeout has no effect with transaction:false; leave it out",
    expect.stringMatching(
      /^2_a\.sql:2:1: SET LOCAL is refused: with transaction:false there is no/,
    ),
    "  2 | set local a.b = 1;",
    "    | ^",
  ]);
});

test("refuseUnrunnable() never reverts what ran outside a transaction", () => {
  const sql = "-- migrate:up transaction:false\nvacuum a\n-- migrate:down\nselect 1";
  expect(failure(bundleOf(sql), "down")).toEqual([
    "Cannot revert the migrations: 1 problem, nothing was run",
    "1_a.sql: it ran outside a transaction, and such a migration is only reverted by hand",
  ]);
});

test("refuseUnrunnable() looks at the down part when reverting, and misses none", () => {
  expect(failure(bundleOf(BOTH, "select 1"), "down")).toEqual([
    "Cannot revert the migrations: 2 problems, nothing was run",
    expect.stringMatching(/^1_a\.sql:4:1: COMMIT is refused: /),
    "  4 | commit;",
    "    | ^",
    "2_a.sql: it has no down part",
  ]);
});
