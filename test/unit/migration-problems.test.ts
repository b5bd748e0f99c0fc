import { expect, test } from "bun:test";
import { HeadgateError } from "../../src/core/error.ts";
import { parseMigrationFile, readMigration } from "../../src/core/migration-file.ts";

/** `line:column` and the rest of the first line of each problem; the file is 1_a.sql. */
function problems(text: string): readonly string[] {
  const reading = readMigration("1_a.sql", text);
  if (reading.kind === "parsed") return [];
  return reading.problems.map((problem) => (problem.split("\n")[0] ?? "").replace("1_a.sql:", ""));
}

const broken: readonly [when: string, text: string, then: readonly string[]][] = [
  ["nothing in it", "", ["1:1: nothing to run"]],
  ["only comments", "-- a\n/* b */;;", ["1:1: nothing to run"]],
  ["an empty up part", "-- x\n-- migrate:up\n-- a\n-- migrate:down\nb", ["2:1: nothing to run"]],
  ["two up markers", "-- migrate:up\na\n-- migrate:up\nb", ["3:1: a second -- migrate:up"]],
  [
    "two down markers",
    "-- migrate:up\na\n-- migrate:down\n-- migrate:down",
    ["4:1: a second -- migrate:down"],
  ],
  [
    "down before up",
    "-- migrate:down\na\n-- migrate:up\nb",
    ["1:1: -- migrate:down without -- migrate:up before it"],
  ],
  [
    "down alone",
    "a;\n-- migrate:down\nb",
    ["2:1: -- migrate:down without -- migrate:up before it"],
  ],
  [
    "SQL before up",
    "-- x\n  a;\n-- migrate:up\nb",
    ["2:3: SQL before -- migrate:up belongs to no part"],
  ],
  [
    "options on down",
    "-- migrate:up\na\n-- migrate:down transaction:false\nb",
    ["3:17: -- migrate:down takes no options in this version"],
  ],
  [
    "an unknown option",
    "-- migrate:up transactional:false\na",
    [
      '1:15: unknown option "transactional"; known are transaction, lock_timeout, statement_timeout, breaking, accept-timeouts',
    ],
  ],
  [
    "a word that is no option",
    "-- migrate:up creates a\na",
    ['1:15: "creates" is not an option', '1:23: "a" is not an option'],
  ],
  [
    "a bad boolean",
    "-- migrate:up transaction:no\na",
    ['1:15: option "transaction" is not true or false'],
  ],
  [
    "a bad duration",
    "-- headgate: lock_timeout:3d\na",
    ['1:14: option "lock_timeout" is not a duration'],
  ],
  [
    "a duration too long for the server",
    "-- migrate:up statement_timeout:600h\na",
    ['1:15: option "statement_timeout" is not a duration'],
  ],
  [
    "the same option twice",
    "-- migrate:up breaking:true breaking:true\na",
    ['1:29: option "breaking" is given twice'],
  ],
  [
    "the same option in two places",
    "-- headgate: breaking:true\n-- migrate:up breaking:false\na",
    ['2:15: option "breaking" is given twice'],
  ],
  [
    "an object's own key as option",
    "-- migrate:up constructor:true\na",
    ['1:15: unknown option "constructor"'],
  ],
  [
    "options behind the first line",
    "\n-- headgate: transaction:false\na",
    ["2:1: options after -- headgate: are read on the first line only"],
  ],
  [
    "a misspelt marker",
    "-- migrate:up\na\n-- migrate:dwon\nb",
    ["3:1: this is not quite a marker"],
  ],
  ["a marker in capitals", "-- Migrate:Up\na", ["1:1: this is not quite a marker"]],
  [
    "a marker with a space",
    "-- migrate: up\na\n-- migrate down\nb",
    ["1:1: this is not quite", "3:1: this is not quite"],
  ],
  [
    "an indented marker",
    "-- migrate:up\na\n  -- migrate:down\nb",
    ["3:3: this is not quite a marker"],
  ],
  ["a marker with a longer word", "-- migrate:upwards\na", ["1:1: this is not quite a marker"]],
  [
    "goose annotations",
    "-- +goose Up\na\n-- +goose Down\nb",
    ["1:1: another tool's annotation", "3:1: another tool's annotation"],
  ],
  [
    "sql-migrate annotations",
    "-- +migrate Up notransaction\na",
    ["1:1: another tool's annotation"],
  ],
  [
    "node-pg-migrate annotations",
    "-- Up Migration\na\n-- Down Migration\nb",
    ["1:1: another tool's annotation", "3:1: another tool's annotation"],
  ],
  ["a NUL character", "a\n b\0c", ["2:3: a NUL character ends the query for the server"]],
  [
    "three things wrong",
    "a\n-- migrate:up x:1\nb\n-- migrate:up\nc\n",
    ["1:1: SQL before", '2:15: unknown option "x"', "4:1: a second"],
  ],
];

test.each(broken)("readMigration() names the place of %s", (_when, text, then) => {
  const found = problems(text);
  expect(found.map((each, at) => each.slice(0, then[at]?.length))).toEqual([...then]);
});

test("parseMigrationFile() throws one error with every problem and its caret", () => {
  const run = (): unknown => parseMigrationFile("a.up.sql", "-- migrate:up x:1\na");
  expect(run).toThrow(HeadgateError);
  expect(run).toThrow(expect.objectContaining({ code: "bundle-invalid" }));
  expect(run).toThrow(
    /^Cannot use a\.up\.sql:\na\.up\.sql: .*\na\.up\.sql:1:15: unknown .*\n {2}1 \| .*\n {4}\| {15}\^$/,
  );
});
