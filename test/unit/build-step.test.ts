import { expect, test } from "bun:test";
import { type BuildStep, buildStatements } from "../../src/core/build-step.ts";
import { splitStatements } from "../../src/core/sql-statements.ts";
import { FRAGMENTS, randomJoin, randomNumbers, sqlFiles } from "./sql-fragments.ts";

const index = (changes: object): object => ({
  kind: "create-index",
  index: "i",
  table: "t",
  isUnique: false,
  isIfNotExists: false,
  ...changes,
});
const OTHER: BuildStep = { kind: "other" };

const table: readonly [sql: string, then: object][] = [
  ["create index concurrently i on t (c)", index({})],
  ["CREATE UNIQUE INDEX CONCURRENTLY I ON t USING gin (c);", index({ isUnique: true })],
  [
    'create index /* x */ concurrently "I""x" on only s . "T" (c)',
    index({ index: 'I"x', table: 's."T"' }),
  ],
  ["create index concurrently if not exists i on t (c)", index({ isIfNotExists: true })],
  ["create index concurrently on t (c)", index({ index: undefined })],
  ['create index concurrently U&"\\0061" on t (c)', index({ index: undefined })],
  ["create index concurrently if on t (c)", index({ index: "if" })],
  ["create index i on t (c)", OTHER],
  ["create index concurrently i", OTHER],
  ["drop index concurrently if exists s.i cascade", { kind: "drop-index", index: "s.i" }],
  ["drop index concurrently", OTHER],
  ["drop index i", OTHER],
  ["reindex index concurrently s.i", { kind: "reindex", relation: "s.i" }],
  ["reindex (verbose, concurrently) table t", { kind: "reindex", relation: "t" }],
  ["reindex (concurrently false) table t", OTHER],
  ["reindex table t", OTHER],
  ["reindex schema concurrently s", OTHER],
  ["reindex (concurrently", OTHER],
  ["alter table only s.t validate constraint c;", { kind: "validate" }],
  ["alter table t validate constraint c, drop column d", OTHER],
  ["alter table t add column c int", OTHER],
  ["vacuum t", OTHER],
];

test.each(table)("buildStatements() knows what %s does", (sql, then) => {
  expect(buildStatements({ sql, start: 0 }).map(({ step }) => step)).toEqual([then as BuildStep]);
});

test.each([
  ["alter table t add column c int", true],
  ["vacuum full t", true],
  ["alter type mood add value 'calm'", true],
  ["create function f() returns void language sql as 'call p()'", true],
  ["call p()", false],
  ["do $$ begin commit; end $$", false],
  ["/* a */ reindex schema s", false],
  ["cluster", false],
  ["alter table t detach partition p concurrently", false],
] as const)("buildStatements() knows whether %s is all or nothing: %p", (sql, isAtomic) => {
  expect(buildStatements({ sql, start: 0 }).map((each) => each.isAtomic)).toEqual([isAtomic]);
});

test("buildStatements() keeps each statement's bytes and its place in the file", () => {
  const sql = "-- a\nvacuum t; do $$ begin; end $$;\n/* b; */ select E'\\';' ;";
  const text = `-- migrate:up transaction:false\n${sql}`;
  const statements = buildStatements({ sql, start: text.length - sql.length });
  expect(statements.map((each) => each.sql)).toEqual([
    "vacuum t;",
    "do $$ begin; end $$;",
    "select E'\\';' ;",
  ]);
  for (const each of statements) {
    expect(text.slice(each.start, each.start + each.sql.length)).toBe(each.sql);
  }
});

/** The statements and what stands between them, byte by byte. */
function rejoined(sql: string): string {
  let at = 0;
  let text = "";
  for (const statement of buildStatements({ sql, start: 0 })) {
    text += sql.slice(at, statement.start) + statement.sql;
    at = statement.start + statement.sql.length;
  }
  return text + sql.slice(at);
}

const WORDS = [
  "create ",
  "unique ",
  "index ",
  "concurrently ",
  "on ",
  "reindex ",
  "alter table ",
  "validate constraint ",
  "drop ",
];

test("buildStatements() never throws, loses no byte, and adds none", () => {
  const next = randomNumbers(6);
  for (let round = 0; round < 4000; round += 1) {
    const sql = randomJoin([...FRAGMENTS, ...WORDS], next);
    expect(rejoined(sql)).toBe(sql);
    expect(buildStatements({ sql, start: 0 })).toHaveLength(splitStatements(sql).length);
  }
});

test("buildStatements() re-joins the SQL files that PostgreSQL installs", async () => {
  for (const { text } of await sqlFiles()) expect(rejoined(text) === text).toBe(true);
});
