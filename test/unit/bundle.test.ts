import { expect, test } from "bun:test";
import { buildBundle } from "../../src/core/bundle.ts";
import { historyAfter } from "../../src/core/checksum.ts";
import { HeadgateError } from "../../src/core/error.ts";

const sql = (file: string, text = "select 1"): { file: string; text: string } => ({ file, text });

function failure(files: readonly { file: string; text: string }[]): HeadgateError {
  try {
    buildBundle(files, "./db");
  } catch (error) {
    if (error instanceof HeadgateError) return error;
  }
  throw new Error("the bundle was built");
}

test("buildBundle() sorts by number and not by text", () => {
  const bundle = buildBundle(
    [sql("10_a.sql"), sql("9_b.sql"), sql("0011_c.sql"), sql("0_d.sql")],
    "./db",
  );
  expect(bundle.map((migration) => migration.version)).toEqual([0, 9, 10, 11]);
});

test("buildBundle() chains histories in the order of versions", () => {
  const [first, second] = buildBundle([sql("2_b.sql", "b"), sql("1_a.sql", "a")], "./db");
  expect(first?.history).toBe(historyAfter("", 1, first?.checksum ?? ""));
  expect(second?.history).toBe(historyAfter(first?.history ?? "", 2, second?.checksum ?? ""));
});

test("buildBundle() gives the same histories whatever the names, the order and the line ends", () => {
  const one = buildBundle([sql("1_a.sql", "a\nb"), sql("2_b.sql")], "./db");
  const other = buildBundle([sql("002_x.sql"), sql("001_y.sql", "\ufeffa\r\nb")], "./db");
  expect(other.at(-1)?.history).toBe(one.at(-1)?.history ?? "");
});

test("buildBundle() of no files is empty", () => {
  expect(buildBundle([], "./db")).toEqual([]);
});

const duplicates: readonly [files: readonly string[], then: string][] = [
  [["1_a.sql", "001_b.sql"], "001_b.sql, 1_a.sql: the same version 1"],
  [["2_c.sql", "2_a.sql", "02_b.sql"], "02_b.sql, 2_a.sql, 2_c.sql: the same version 2"],
];

test.each(duplicates)("buildBundle() refuses the duplicate versions of %p", (files, then) => {
  expect(failure(files.map((file) => sql(file))).message).toBe(
    `Cannot use the migrations of ./db: 1 problem\n${then}`,
  );
});

test("buildBundle() finds a duplicate version in a file whose text is wrong", () => {
  expect(failure([sql("1_a.sql"), sql("1_b.sql", "")]).message).toContain("the same version 1");
});

test("buildBundle() names every problem of every file at once", () => {
  const error = failure([
    sql("0005_e.sql"),
    sql("5_f.sql"),
    sql("0001_a.up.sql"),
    sql("0001_a.down.sql"),
    sql("roles.sql"),
    sql("0003_c.sql", "-- x"),
    sql("0002_b.sql", "-- migrate:up lock:3s\nselect 1"),
    sql("99999999999999999999_z.sql"),
  ]);
  expect(error.code).toBe("bundle-invalid");
  expect(error.hint).toBeString();
  expect(error.message.split("\n")).toEqual([
    "Cannot use the migrations of ./db: 7 problems",
    "0005_e.sql, 5_f.sql: the same version 5",
    expect.stringMatching(/^0001_a\.down\.sql: \.down\.sql files are/),
    expect.stringMatching(/^0001_a\.up\.sql: \.up\.sql files are/),
    expect.stringMatching(/^0002_b\.sql:1:15: unknown option "lock"/),
    "  1 | -- migrate:up lock:3s",
    "    |               ^",
    expect.stringMatching(/^0003_c\.sql:1:1: nothing to run/),
    "  1 | -- x",
    "    | ^",
    expect.stringMatching(/^99999999999999999999_z\.sql: the version is larger/),
    expect.stringMatching(/^roles\.sql: the name does not begin/),
  ]);
});

test("buildBundle() lets no control character of a name through", () => {
  expect(failure([sql("\u001b[31m.sql")]).message).not.toContain("\u001b");
});
