import { describe, expect, test } from "bun:test";
import {
  integerLiteral,
  parseLedgerName,
  quoteIdentifier,
  quoteLedger,
} from "../../src/core/identifier.ts";
import { randomJoin, randomNumbers } from "./sql-fragments.ts";

describe("quoteIdentifier()", () => {
  const table: readonly [name: string, quoted: string][] = [
    ["headgate_migrations", '"headgate_migrations"'],
    ["Mixed Case", '"Mixed Case"'],
    ['we"ird', '"we""ird"'],
    ['"', '""""'],
    ['"; drop table x; --', '"""; drop table x; --"'],
    ["grün", '"grün"'],
    ["", '""'],
  ];
  test.each(table)("of %s is %s", (name, quoted) => {
    expect(quoteIdentifier(name)).toBe(quoted);
  });
});

describe("quoteLedger()", () => {
  test("keeps schema and table apart", () => {
    expect(quoteLedger({ schema: "a.b", table: 'c"d' })).toBe('"a.b"."c""d"');
  });

  test("leaves a name without a schema to the search path", () => {
    expect(quoteLedger({ schema: undefined, table: "t" })).toBe('"t"');
  });
});

describe("integerLiteral()", () => {
  const table: readonly [value: number | bigint, text: string][] = [
    [0, "0"],
    [-5, "-5"],
    [Number.MAX_SAFE_INTEGER, "9007199254740991"],
    [-(2n ** 63n), "-9223372036854775808"],
    [2n ** 63n - 1n, "9223372036854775807"],
  ];
  test.each(table)("of %p is %s", (value, text) => {
    expect(integerLiteral(value)).toBe(text);
  });

  test.each([0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, "1; drop table x" as never])(
    "refuses %p",
    (value) => {
      expect(() => integerLiteral(value)).toThrow(RangeError);
    },
  );
});

describe("parseLedgerName()", () => {
  const long = "a".repeat(63);
  const table: readonly [text: string, schema: string | undefined, table: string][] = [
    ["migrations", undefined, "migrations"],
    ["Migrations", undefined, "migrations"],
    ['"Migrations"', undefined, "Migrations"],
    ["ops.migrations", "ops", "migrations"],
    ['Ops."My Table"', "ops", "My Table"],
    ['"a.b"."c""d"', "a.b", 'c"d'],
    ["_x$1", undefined, "_x$1"],
    ["grün.straße", "grün", "straße"],
    [long, undefined, long],
    [`${long}.${long}`, long, long],
    ['"select"', undefined, "select"],
  ];
  test.each(table)("reads %s", (text, schema, name) => {
    expect(parseLedgerName(text)).toEqual({ schema, table: name });
  });

  // biome-ignore format: a table
  const refused: readonly (readonly [text: string])[] = [
    [""], [" "], ["."], ["a."], [".a"], ["a.b.c"], ["a b"], ["1a"], ["a-b"], ['"a'], ['a"'], ['""'], ['"a"b'], ['"a""'],
    ["a;b"], ["a.b;"], ["$a"], ['"a\0b"'], [`${long}a`], [`a.${long}a`], [`"${"ü".repeat(32)}"`], ["a. b"], ["a\n"],
  ];
  test.each(refused)("refuses %j", (text) => {
    expect(parseLedgerName(text)).toBeUndefined();
  });

  test("reads back whatever quoteLedger() wrote", () => {
    const next = randomNumbers(7);
    const pieces = ['"', "a", ".", " ", "B", "ü", ";", "--", "'", "$$", "\n"];
    for (let i = 0; i < 500; i += 1) {
      const place = {
        schema: `s${randomJoin(pieces, next)}`.slice(0, 30),
        table: `t${randomJoin(pieces, next)}`.slice(0, 30),
      };
      expect(parseLedgerName(quoteLedger(place))).toEqual(place);
    }
  });
});
