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

test("refuseUnrunnable() refuses non-transactional migrations, and what they hold", () => {
  expect(failure(bundleOf("-- migrate:up transaction:false\nreset a"))).toEqual([
    "Cannot apply the pending migrations: 2 problems, nothing was run",
    expect.stringMatching(
      /^1_a\.sql: non-transactional migrations are not supported by this version/,
    ),
    expect.stringMatching(/^1_a\.sql:2:1: RESET is refused: /),
    "  2 | reset a",
    "    | ^",
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
