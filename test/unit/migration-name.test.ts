import { expect, test } from "bun:test";
import { parseMigrationName } from "../../src/core/migration-name.ts";

const names: readonly [file: string, version: number, name: string][] = [
  ["1_a.sql", 1, "a"],
  ["0003_create_roles.sql", 3, "create_roles"],
  ["0_init.sql", 0, "init"],
  ["20260101120000_a-b_C9.sql", 20_260_101_120_000, "a-b_C9"],
  ["9007199254740991_a.sql", Number.MAX_SAFE_INTEGER, "a"],
  ["00000000000000000000000001_a.sql", 1, "a"],
  ["1__.sql", 1, "_"],
];

test.each(names)("parseMigrationName() reads %s", (file, version, name) => {
  expect(parseMigrationName(file)).toEqual({ kind: "named", version, name });
});

const badNames: readonly [file: string, then: RegExp][] = [
  ["create_roles.sql", /begin with a version number/],
  ["V1__init.sql", /begin with a version number/],
  ["-1_a.sql", /begin with a version number/],
  ["٣_a.sql", /begin with a version number/],
  ["0001_a.up.sql", /\.up\.sql files are another tool's format/],
  ["0001_a.down.sql", /\.down\.sql files are another tool's format/],
  ["9007199254740992_a.sql", /larger than 9007199254740991/],
  ["99999999999999999999_a.sql", /larger than 9007199254740991/],
  ["0001.sql", /<version>_<name>\.sql/],
  ["0001_.sql", /<version>_<name>\.sql/],
  ["0001_a b.sql", /<version>_<name>\.sql/],
  ["0001_a.b.sql", /<version>_<name>\.sql/],
  ["0001_é.sql", /<version>_<name>\.sql/],
  ["1.5_a.sql", /<version>_<name>\.sql/],
  ["0001_a.SQL", /does not end in \.sql/],
  ["README.md", /does not end in \.sql/],
  ["0001_a.sql\n", /does not end in \.sql/],
];

test.each(badNames)("parseMigrationName() refuses %s", (file, then) => {
  const reading = parseMigrationName(file);
  expect(reading.kind === "unusable" && reading.problem).toMatch(then);
  expect(reading.kind === "unusable" && reading.problem).not.toContain("\n");
});
