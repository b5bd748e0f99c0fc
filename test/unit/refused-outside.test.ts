import { expect, test } from "bun:test";
import { refusedInside, refusedOutside } from "../../src/core/refused-outside.ts";
import { FRAGMENTS, randomJoin, randomNumbers } from "./sql-fragments.ts";

const inside: readonly [sql: string, then: readonly string[]][] = [
  ["create index concurrently i on t (c)", ["CREATE INDEX CONCURRENTLY@0"]],
  ["create unique index concurrently i on t (c)", ["CREATE UNIQUE INDEX CONCURRENTLY@0"]],
  ["select 1; drop index concurrently i", ["DROP INDEX CONCURRENTLY@10"]],
  ["reindex table concurrently t", ["REINDEX CONCURRENTLY@0"]],
  ["reindex (verbose, concurrently) index i", ["REINDEX CONCURRENTLY@0"]],
  ["reindex schema s", ["REINDEX SCHEMA@0"]],
  ["vacuum (analyze) t", ["VACUUM@0"]],
  ["alter system set a = 1", ["ALTER SYSTEM@0"]],
  ["create database d", ["CREATE DATABASE@0"]],
  ["drop database if exists d", ["DROP DATABASE@0"]],
  ["create tablespace s location '/x'", ["CREATE TABLESPACE@0"]],
  ["drop tablespace s", ["DROP TABLESPACE@0"]],
  ["create subscription s connection 'x' publication p", ["CREATE SUBSCRIPTION@0"]],
  ["create subscription s connection 'x' publication p with (create_slot = false)", []],
  ["alter table t detach partition p concurrently", ["DETACH PARTITION CONCURRENTLY@0"]],
  ["commit; vacuum; set a = 1", ["COMMIT@0", "VACUUM@8", "SET@16"]],
  ["refresh materialized view concurrently v", []],
  ["reindex table t; create index concurrent on t (c)", []],
  ["alter table t detach partition p", []],
  ["comment on table t is 'vacuum'; -- vacuum;", []],
  ["alter type e add value 'x'; drop index i; alter database d reset all", []],
];

test.each(inside)("refusedInside() of %s", (sql, then) => {
  expect(refusedInside(sql).map(({ what, offset }) => `${what}@${offset}`)).toEqual([...then]);
});

const outside: readonly [sql: string, then: readonly string[]][] = [
  ["vacuum t; create index concurrently i on t (c); drop index concurrently j", []],
  ["begin; commit", ["BEGIN@0", "COMMIT@7"]],
  ["savepoint a; rollback to a; release a", ["SAVEPOINT@0", "ROLLBACK@13", "RELEASE@28"]],
  ["set a = 1; reset a", ["SET@0", "RESET@11"]],
  ["set local a = 1; set constraints all deferred", ["SET LOCAL@0", "SET CONSTRAINTS@17"]],
  ["set local transaction read only", ["SET LOCAL TRANSACTION@0"]],
  ["lock t; declare c cursor for select 1", ["LOCK@0", "DECLARE@8"]],
  ["copy t from stdin", ["COPY FROM STDIN@0"]],
  ["select set_config('a', 'b', false)", ["set_config(…, false)@7"]],
  [
    "create index concurrently if not exists i on t (c)",
    ["CREATE INDEX CONCURRENTLY IF NOT EXISTS@0"],
  ],
  ["create index concurrently on t (c)", ["CREATE INDEX CONCURRENTLY without a name@0"]],
];

test.each(outside)("refusedOutside() of %s", (sql, then) => {
  expect(refusedOutside(sql).map(({ what, offset }) => `${what}@${offset}`)).toEqual([...then]);
});

test("refusedOutside() never advises what only a transaction has", () => {
  const sql =
    "commit; set a = 1; reset a; set transaction read only; select set_config('a', 'b', false)";
  const refusals = refusedOutside(sql);
  expect(refusals).toHaveLength(5);
  for (const { why, instead } of refusals) {
    expect(instead).not.toMatch(/SET LOCAL|SAVEPOINT|third argument/);
    expect(why).toMatch(/^[a-z].*[^.]$/);
  }
});

test("both never throw and give ascending offsets", () => {
  const next = randomNumbers(7);
  for (let round = 0; round < 2000; round += 1) {
    const sql = randomJoin([...FRAGMENTS, "vacuum ", "create index concurrently "], next);
    for (const refused of [refusedInside, refusedOutside]) {
      const offsets = refused(sql).map(({ offset }) => offset);
      expect(offsets).toEqual([...offsets].sort((a, b) => a - b));
    }
  }
});
