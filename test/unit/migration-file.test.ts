import { expect, test } from "bun:test";
import { checksumOf } from "../../src/core/checksum.ts";
import { parseMigrationFile, readMigration } from "../../src/core/migration-file.ts";
import { FRAGMENTS, randomJoin, randomNumbers } from "./sql-fragments.ts";

const sections: readonly [when: string, text: string, up: string, down: string | undefined][] = [
  ["without a marker", "select 1;\n", "select 1;\n", undefined],
  ["with up only", "-- migrate:up\nselect 1;\n", "select 1;\n", undefined],
  ["with both parts", "-- migrate:up\na;\n-- migrate:down\nb;\n", "a;\n", "b;\n"],
  ["with comments in front", "-- x\n/* y */\n\n-- migrate:up\na", "a", undefined],
  [
    "with a byte-order mark and CRLF",
    "\ufeff-- migrate:up\r\na;\r\n-- migrate:down\r\nb",
    "a;\n",
    "b",
  ],
  ["without a space in the marker", "--migrate:up\na\n--migrate:down\nb", "a\n", "b"],
  ["with space behind the marker", "-- migrate:up \t\na", "a", undefined],
  ["with an empty down part", "-- migrate:up\na\n-- migrate:down\n-- none\n;", "a\n", undefined],
  ["with down at the very end", "-- migrate:up\na\n-- migrate:down", "a\n", undefined],
  [
    "with a marker in a string",
    "select '\n-- migrate:down\n'",
    "select '\n-- migrate:down\n'",
    undefined,
  ],
  [
    "with a marker in a dollar quote",
    "do $$\n-- migrate:up\n$$",
    "do $$\n-- migrate:up\n$$",
    undefined,
  ],
  [
    "with a marker in a block comment",
    "a /*\n-- migrate:up\n*/",
    "a /*\n-- migrate:up\n*/",
    undefined,
  ],
  ["with a marker behind SQL", "a; -- migrate:down", "a; -- migrate:down", undefined],
  [
    "with prose about migrating",
    "-- migrate-users to b\n-- migrate all: up\na",
    "-- migrate-users to b\n-- migrate all: up\na",
    undefined,
  ],
];

test.each(sections)("parseMigrationFile() splits a file %s", (_when, raw, up, down) => {
  const migration = parseMigrationFile("1_a.sql", raw);
  expect(migration.up.sql).toBe(up);
  expect(migration.down?.sql).toBe(down);
  for (const section of [migration.up, migration.down ?? migration.up]) {
    const { sql, start } = section;
    expect(migration.text.slice(start, start + sql.length)).toBe(sql);
  }
});

test("parseMigrationFile() gives every field", () => {
  const text = "-- migrate:up\na\n";
  expect(parseMigrationFile("0012_a_b.sql", "-- migrate:up\r\na\r\n")).toEqual({
    version: 12,
    name: "a_b",
    file: "0012_a_b.sql",
    text,
    checksum: checksumOf(text),
    up: { sql: "a\n", start: 14 },
    down: undefined,
    options: {
      transaction: true,
      lockTimeoutMs: undefined,
      statementTimeoutMs: undefined,
      breaking: false,
      acceptTimeouts: false,
    },
  });
});

const options: readonly [line: string, then: object][] = [
  ["-- migrate:up transaction:false", { transaction: false }],
  ["-- migrate:up transaction:true breaking:false", { transaction: true, breaking: false }],
  [
    "-- migrate:up lock_timeout:3s  statement_timeout:15m\tbreaking:true",
    { lockTimeoutMs: 3000, statementTimeoutMs: 900_000, breaking: true },
  ],
  ["-- headgate: transaction:false", { transaction: false }],
  ["--headgate:lock_timeout:0", { lockTimeoutMs: 0 }],
  [
    "-- headgate: breaking:true\n-- migrate:up lock_timeout:1",
    { breaking: true, lockTimeoutMs: 1000 },
  ],
  [
    "-- migrate:up transaction:false accept-timeouts:true",
    { transaction: false, acceptTimeouts: true },
  ],
  ["-- headgate is a word", { transaction: true }],
];

test.each(options)("parseMigrationFile() reads the options of %s", (line, then) => {
  expect(parseMigrationFile("1_a.sql", `${line}\nselect 1`).options).toMatchObject(then);
});

test("readMigration() never throws, and its sections are slices of its text", () => {
  const next = randomNumbers(4);
  for (let round = 0; round < 4000; round += 1) {
    const reading = readMigration("1_a.sql", randomJoin(FRAGMENTS, next));
    if (reading.kind === "unusable") continue;
    const { text, up, down } = reading.migration;
    for (const { sql, start } of [up, down ?? up]) {
      expect(text.slice(start, start + sql.length)).toBe(sql);
    }
  }
});
