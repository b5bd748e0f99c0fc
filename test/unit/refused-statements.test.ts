import { expect, test } from "bun:test";
import { refusedStatements } from "../../src/core/refused-statements.ts";
import { GROWTH_TIMEOUT_MS, growthOf, LINEAR_GROWTH_MAX } from "../support/growth.ts";
import { FRAGMENTS, randomJoin, randomNumbers, sqlFiles } from "./sql-fragments.ts";

/** `what@offset` of every refusal. */
function refused(sql: string): readonly string[] {
  return refusedStatements(sql).map(({ what, offset }) => `${what}@${offset}`);
}

const refusedTable: readonly [sql: string, then: readonly string[]][] = [
  ["begin", ["BEGIN@0"]],
  ["BEGIN ISOLATION LEVEL SERIALIZABLE;", ["BEGIN@0"]],
  ["start /* x */ transaction", ["START TRANSACTION@0"]],
  ["create table a (); commit;", ["COMMIT@19"]],
  ["commit and chain", ["COMMIT@0"]],
  ["commit prepared 'a'", ["COMMIT PREPARED@0"]],
  ["rollback", ["ROLLBACK@0"]],
  ["rollback work", ["ROLLBACK@0"]],
  ["rollback prepared 'to'", ["ROLLBACK PREPARED@0"]],
  ["prepare transaction 'a'", ["PREPARE TRANSACTION@0"]],
  ["abort", ["ABORT@0"]],
  [";;end", ["END@2"]],
  ["-- a\nend transaction", ["END@5"]],
  ["set search_path = a", ["SET@0"]],
  ["SeT search_path to a", ["SET@0"]],
  ["set role a", ["SET@0"]],
  ["set time zone 'utc'", ["SET@0"]],
  ['set "a".b = 1', ["SET@0"]],
  ["set app.local = 1", ["SET@0"]],
  ["set session authorization a", ["SET SESSION@0"]],
  ["set session characteristics as transaction read only", ["SET SESSION@0"]],
  ["set transaction isolation level serializable", ["SET TRANSACTION@0"]],
  ["set local transaction read only", ["SET LOCAL TRANSACTION@0"]],
  ["set local.x = 1", ["SET@0"]],
  ["set local = 1", ["SET@0"]],
  ["set local to 1", ["SET@0"]],
  ["set constraints.x = 1", ["SET@0"]],
  ["reset all", ["RESET@0"]],
  ["reset role", ["RESET@0"]],
  ["discard all", ["DISCARD@0"]],
  ["listen a", ["LISTEN@0"]],
  ["copy a from stdin", ["COPY FROM STDIN@0"]],
  ["copy public.a (b, c) from stdin with (format csv)", ["COPY FROM STDIN@0"]],
  ['copy "from" FROM STDOUT', ["COPY FROM STDIN@0"]],
  ["copy (select 1 from stdin) to stdout", ["COPY TO STDOUT@0"]],
  ["copy a from stdin;\n1\t2\n\\.\nset a = 1;", ["COPY FROM STDIN@0", "SET@26"]],
  ["\\connect a", ["\\connect@0"]],
  ["select 1;\n\\i a.sql\nselect 2;", ["\\i@10"]],
  ["\\! ls", ["\\!@0"]],
  ["\\", ["\\@0"]],
  ["\\restrict a\n\nset b = 0;", ["\\restrict@0", "SET@13"]],
  ["\\set a 'b' \\c\n\\pset d\ncommit", ["\\set@0", "\\pset@14", "COMMIT@22"]],
  ["select 1 \\gexec", ["\\gexec@9"]],
  ["select 1; commit; reset a; select 2; abort", ["COMMIT@10", "RESET@18", "ABORT@37"]],
];

test.each(refusedTable)("refusedStatements() refuses %s", (sql, then) => {
  expect(refused(sql)).toEqual([...then]);
});

const allowedTable: readonly (readonly [sql: string])[] = [
  ["set local search_path = a"],
  ['set local "a".b = 1'],
  ["set local role a"],
  ["set local transaction_timeout = 0"],
  ["set /* session */ local session authorization a"],
  ["set constraints all deferred"],
  ['set constraints "a" immediate'],
  ["savepoint a; rollback to a; rollback to savepoint a; release a"],
  ["rollback work to a"],
  ["rollback transaction to savepoint a"],
  ["alter table a set schema b"],
  ["alter role a set search_path = b"],
  ["alter database a reset all"],
  ["update a set b = 1"],
  ["create function f() returns int language sql set search_path = a as 'commit'"],
  ["create function f() returns int begin atomic select 1; end"],
  ["do $$ begin commit; end $$"],
  ['create table "commit" (); select 1 as end'],
  ["comment on table a is 'commit;'"],
  ["/* commit; */ -- commit;\nselect 1"],
  ['select "commit"'],
  ["prepare a as select 1"],
  ["notify a; unlisten a"],
  ["copy a from '/stdin'"],
  ["copy a to program 'stdout'"],
  ["select stdin from stdin"],
  ["commıt"],
  ["select E'\\\\connect'"],
  [""],
];

test.each(allowedTable)("refusedStatements() allows %s", (sql) => {
  expect(refused(sql)).toEqual([]);
});

const CALL = "set_config(…, false)";
const callTable: readonly [sql: string, then: readonly string[]][] = [
  ["select set_config('a', 'b', false)", [`${CALL}@7`]],
  ["select SET_CONFIG ( 'a' , 'b' , FALSE )", [`${CALL}@7`]],
  ["select pg_catalog.set_config('a', 'b', 'f')", [`${CALL}@7`]],
  ["select \"pg_catalog\" . \"set_config\"('a', 'b', 'OFF')", [`${CALL}@7`]],
  ["select set_config('a', f(b, c), ' No ')", [`${CALL}@7`]],
  ["select set_config('a', 'b', '0')", [`${CALL}@7`]],
  ["select set_config('a', 'b', E'fal')", [`${CALL}@7`]],
  ["select set_config('a', 'b', false::boolean)", [`${CALL}@7`]],
  ["select set_config('a', 'b', (false))", [`${CALL}@7`]],
  ["select set_config(set_config('a', 'b', false), 'c', true)", [`${CALL}@18`]],
  [
    "do 'x'; select 1 where set_config('a','b',false) = '' and set_config('a','c',false) = ''",
    [`${CALL}@23`, `${CALL}@58`],
  ],
  ["select set_config('a', 'b', false", [`${CALL}@7`]],
  ["create table a as select set_config('a', 'b', false)", [`${CALL}@25`]],
  ["set a = 1; select set_config('a', 'b', false)", ["SET@0", `${CALL}@18`]],
  ["select set_config('a', 'b', true)", []],
  ["select set_config('a', 'b', 't')", []],
  ["select set_config('a', 'b', 'o')", []],
  ["select set_config('a', 'false', b)", []],
  ["select set_config('a', 'b', false or true)", []],
  ["select set_config('a', 'b')", []],
  ["select app.set_config('a', 'b', false)", []],
  ["select \"SET_CONFIG\"('a', 'b', false)", []],
  ["select set_config, 'a', false", []],
  ["select 'set_config(a, b, false)', $$set_config('a', 'b', false)$$", []],
  ["create function f() returns text return set_config('a', 'b', false)", []],
  ["create function f() returns text begin atomic select set_config('a', 'b', false); end", []],
  ["grant execute on function set_config(text, text, boolean) to a", []],
];

test.each(callTable)("refusedStatements() judges the calls of %s", (sql, then) => {
  expect(refused(sql)).toEqual([...then]);
});

test("refusedStatements() gives a reason and a way out, without a final period", () => {
  const sql = "commit; set a = 1; set transaction read only; copy a from stdin; discard all; \\d";
  for (const { why, instead } of refusedStatements(sql)) {
    expect(why).toMatch(/^[a-z].*[^.]$/);
    expect(instead).toMatch(/^[a-z].*[^.]$/);
  }
});

test("refusedStatements() never throws and gives ascending offsets", () => {
  const next = randomNumbers(3);
  for (let round = 0; round < 4000; round += 1) {
    const sql = randomJoin(FRAGMENTS, next);
    const offsets = refusedStatements(sql).map(({ offset }) => offset);
    expect(offsets).toEqual([...offsets].sort((a, b) => a - b));
    expect(offsets.every((offset) => offset >= 0 && offset < sql.length)).toBe(true);
  }
});

test("refusedStatements() refuses the psql guard of every extension script and nothing else of it", async () => {
  const scripts = (await sqlFiles()).filter(({ path }) => path.includes("/extension/"));
  for (const { text } of scripts) {
    const others = refused(text).filter((each) => !/^\\(echo|quit)/.test(each));
    expect(others.filter((each) => !/^(SET|RESET|set_config)/.test(each))).toEqual([]);
  }
});

const large: readonly [what: string, sql: string][] = [
  ["psql commands in one statement", "\\d a\n".repeat(170_000)],
  ["nested calls", `${"set_config(".repeat(50_000)}${", 1, false)".repeat(50_000)}`],
  ["nested calls without an end", "set_config(".repeat(100_000)],
  ["commits", "commit;".repeat(150_000)],
  ["words", "set ".repeat(260_000)],
];

test.each(large)(
  "refusedStatements() takes as long as its input is long: %s",
  (_what, sql) => {
    expect(growthOf(sql, refusedStatements)).toBeLessThan(LINEAR_GROWTH_MAX);
  },
  GROWTH_TIMEOUT_MS,
);
