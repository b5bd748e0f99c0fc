import { describe, expect, test } from "bun:test";
import { parseLedgerName } from "../../src/core/identifier.ts";
import {
  type SeedMark,
  type SeedRecord,
  type SeedState,
  seedState,
  seedsTable,
} from "../../src/core/seed-mark.ts";

const MARK: SeedMark = { name: "rbac", number: 2, fingerprint: "a" };

function record(changes: Partial<SeedRecord> = {}): SeedRecord {
  return { ...MARK, finishedAt: new Date(0), ...changes };
}

describe("seedState()", () => {
  const other = record({ name: "custom", number: 9, fingerprint: "z" });
  const table: readonly [when: string, records: readonly SeedRecord[], then: SeedState][] = [
    ["nothing is recorded", [], "stale"],
    ["only another name is recorded", [other], "stale"],
    ["the same is recorded", [other, record()], "seeded"],
    ["the same is recorded without a time", [record({ finishedAt: null })], "seeded"],
    ["another content is recorded with the same number", [record({ fingerprint: "b" })], "stale"],
    ["a lower number is recorded", [record({ number: 1 })], "stale"],
    [
      "a lower number is recorded with another content",
      [record({ number: 1, fingerprint: "b" })],
      "stale",
    ],
    ["a higher number is recorded", [record({ number: 3 })], "newer"],
    [
      "a higher number is recorded with another content",
      [record({ number: 3, fingerprint: "b" }), other],
      "newer",
    ],
  ];
  test.each(table)("when %s", (_when, records, then) => {
    expect(seedState(MARK, records)).toBe(then);
  });

  test("of files, which have no number, is a matter of their content", () => {
    const mark: SeedMark = { name: "custom", number: 0, fingerprint: "a" };
    expect(seedState(mark, [{ ...mark, finishedAt: null }])).toBe("seeded");
    expect(seedState({ ...mark, fingerprint: "b" }, [{ ...mark, finishedAt: null }])).toBe("stale");
  });
});

describe("seedsTable()", () => {
  // biome-ignore format: a table
  const table: readonly [ledger: string, then: string][] = [
    ["headgate_migrations", "headgate_seeds"],
    ["billing", "billing_seeds"],
    ["billing_migrations_old", "billing_migrations_old_seeds"],
    ["_migrations", "_seeds"],
    ["migrations", "migrations_seeds"],
    ["a_migrations_migrations", "a_migrations_seeds"],
    ['We"ird', 'We"ird_seeds'],
    ["x".repeat(57), `${"x".repeat(57)}_seeds`],
    ["x".repeat(58), `${"x".repeat(57)}_seeds`],
    ["x".repeat(63), `${"x".repeat(57)}_seeds`],
    [`${"x".repeat(52)}_migrations`, `${"x".repeat(52)}_seeds`],
    ["ä".repeat(31), `${"ä".repeat(28)}_seeds`],
    [`x${"ä".repeat(31)}`, `x${"ä".repeat(28)}_seeds`],
    [`xy${"😀".repeat(15)}`, `xy${"😀".repeat(13)}_seeds`],
  ];
  test.each(table)("of %s is %s", (ledger, then) => {
    expect(seedsTable({ schema: "ops", table: ledger })).toEqual({ schema: "ops", table: then });
    expect(seedsTable({ schema: undefined, table: ledger }).schema).toBeUndefined();
  });

  test("fits into the 63 bytes of a name, as every ledger's own name does, and is not that name", () => {
    for (const letter of ["x", "ä", "漢", "😀"]) {
      for (
        let length = 1;
        new TextEncoder().encode(letter.repeat(length)).length <= 63;
        length += 1
      ) {
        const ledger = parseLedgerName(`"${letter.repeat(length)}"`);
        if (!ledger) throw new Error("no ledger");
        const { table: name } = seedsTable(ledger);
        expect(new TextEncoder().encode(name).length).toBeLessThanOrEqual(63);
        expect(name).toMatch(/^[^\uFFFD]+_seeds$/);
        expect(name).not.toBe(ledger.table);
      }
    }
  });
});
