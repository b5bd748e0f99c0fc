import { expect, test } from "bun:test";
import { tokenize } from "../../src/core/sql-lexer.ts";
import {
  isRoutineDefinition,
  type Statement,
  splitStatements,
  upperWord,
} from "../../src/core/sql-statements.ts";
import { FRAGMENTS, randomJoin, randomNumbers, sqlFiles } from "./sql-fragments.ts";

function slices(sql: string): readonly string[] {
  return splitStatements(sql).map((statement) => sql.slice(statement.start, statement.end));
}

/** Statements and the gaps around them. */
function rejoined(sql: string, statements: readonly Statement[]): string {
  let at = 0;
  let text = "";
  for (const { start, end } of statements) {
    text += sql.slice(at, start) + sql.slice(start, end);
    at = end;
  }
  return text + sql.slice(at);
}

const ATOMIC = "begin atomic select 1; select case when a then case b when 1 then 2 end end; end";

const table: readonly [when: string, sql: string, then: readonly string[]][] = [
  ["two statements", "select 1; select 2;", ["select 1;", "select 2;"]],
  ["no last semicolon", "select 1; select 2 -- x", ["select 1;", "select 2"]],
  ["empty statements", " ;; /* ; */ ; select 1;;", ["select 1;"]],
  ["only comments", "-- a;\n/* b; */", []],
  ["semicolons in quotes", "select ';', \";\", $$;$$;a", ["select ';', \";\", $$;$$;", "a"]],
  [
    "a rule with statements in parentheses",
    "create rule r as on insert to a do also (b; c); d",
    ["create rule r as on insert to a do also (b; c);", "d"],
  ],
  ["too many closing parentheses", "a); b", ["a);", "b"]],
  [
    "an atomic function body",
    `create function f() returns int ${ATOMIC}; a`,
    [`create function f() returns int ${ATOMIC};`, "a"],
  ],
  [
    "an atomic procedure body",
    `create or replace procedure p() ${ATOMIC}; a`,
    [`create or replace procedure p() ${ATOMIC};`, "a"],
  ],
  [
    "an atomic body with comments in its head",
    `CREATE/**/OR--\nREPLACE FUNCTION "f"() BEGIN/**/ATOMIC a; END; b`,
    [`CREATE/**/OR--\nREPLACE FUNCTION "f"() BEGIN/**/ATOMIC a; END;`, "b"],
  ],
  [
    "END as a label in an atomic body",
    "create function f() begin atomic select 1 as end; select t.case; end; b",
    ["create function f() begin atomic select 1 as end; select t.case; end;", "b"],
  ],
  [
    "CASE in parentheses in an atomic body",
    "create function f() begin atomic select (case when a then b end); end; c",
    ["create function f() begin atomic select (case when a then b end); end;", "c"],
  ],
  [
    "BEGIN without ATOMIC in a function",
    "create function begin() language sql as 'a'; b",
    ["create function begin() language sql as 'a';", "b"],
  ],
  [
    "CASE in a function that returns an expression",
    "create function f() return case when a then b end; c",
    ["create function f() return case when a then b end;", "c"],
  ],
  [
    "BEGIN ATOMIC outside a routine",
    "begin atomic; select 1; end;",
    ["begin atomic;", "select 1;", "end;"],
  ],
  [
    "psql commands",
    "\\a b\nselect 1 \\gexec\n\\c; d\ne; f",
    ["\\a b", "select 1", "\\gexec", "\\c; d", "e;", "f"],
  ],
  [
    "a routine behind a psql command",
    `\\a\ncreate function f() ${ATOMIC}; b`,
    ["\\a", `create function f() ${ATOMIC};`, "b"],
  ],
  [
    "a table named like a routine",
    "create table function (a int); begin atomic; b",
    ["create table function (a int);", "begin atomic;", "b"],
  ],
];

test.each(table)("splitStatements() handles %s", (_when, sql, then) => {
  expect(slices(sql)).toEqual([...then]);
  expect(rejoined(sql, splitStatements(sql))).toBe(sql);
});

test("splitStatements() gives significant tokens and leading words in upper case", () => {
  const [first] = splitStatements('Rollback /* x */ to\nsavepoint "a" b; c');
  expect(first?.words).toEqual(["ROLLBACK", "TO", "SAVEPOINT"]);
  expect(first?.tokens.map((token) => token.kind)).toEqual([
    "word",
    "word",
    "word",
    "quoted-identifier",
    "word",
  ]);
});

test("splitStatements() leaves only space, comments and semicolons between statements", () => {
  const next = randomNumbers(2);
  for (let round = 0; round < 4000; round += 1) {
    const sql = randomJoin(FRAGMENTS, next);
    const statements = splitStatements(sql);
    expect(rejoined(sql, statements)).toBe(sql);
    const inside = statements.flatMap((statement) => statement.tokens.map((token) => token.start));
    const outside = tokenize(sql).filter((token) => !inside.includes(token.start));
    expect(outside.every((token) => token.kind !== "word" && token.kind !== "string")).toBe(true);
  }
});

test("splitStatements() re-joins the SQL files that PostgreSQL installs", async () => {
  for (const { text } of await sqlFiles()) {
    expect(rejoined(text, splitStatements(text)) === text).toBe(true);
  }
});

test("upperWord() folds ASCII letters only", () => {
  const upper = (sql: string): string => upperWord(sql, tokenize(sql)[0]);
  expect([upper("Commit"), upper("commıt"), upper("ſet"), upper('"commit"')]).toEqual([
    "COMMIT",
    "COMMıT",
    "ſET",
    "",
  ]);
});

const routines: readonly [words: string, then: boolean][] = [
  ["CREATE FUNCTION F", true],
  ["CREATE PROCEDURE", true],
  ["CREATE OR REPLACE FUNCTION", true],
  ["CREATE TABLE FUNCTION", false],
  ["ALTER FUNCTION", false],
];

test.each(routines)("isRoutineDefinition() of %s is %p", (words, then) => {
  expect(isRoutineDefinition(words.split(" "))).toBe(then);
});
