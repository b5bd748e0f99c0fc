import { describe, expect, test } from "bun:test";
import {
  type GateKey,
  keyArguments,
  RUN_NAMESPACE,
  runKey,
  STEP_NAMESPACE,
  stepKey,
} from "../../src/core/gate-key.ts";
import { parseLedgerName } from "../../src/core/identifier.ts";
import type { LedgerPlace } from "../../src/core/ledger.ts";

const DEFAULT: LedgerPlace = { schema: "public", table: "headgate_migrations" };

describe("stepKey() and runKey()", () => {
  // Two binaries that disagree here do not see each other's lock: a change is a breaking one.
  test("are the same for ever", () => {
    expect(STEP_NAMESPACE).toBe(1_751_610_228);
    expect(RUN_NAMESPACE).toBe(1_751_609_966);
    expect(stepKey(DEFAULT)).toEqual({ namespace: 1_751_610_228, ledger: 281_238_533 });
    expect(runKey(DEFAULT)).toEqual({ namespace: 1_751_609_966, ledger: 281_238_533 });
    expect(stepKey({ schema: 'we"ird', table: "grün 🔑" }).ledger).toBe(-81_606_036);
  });

  test("differ from each other for one ledger", () => {
    expect(stepKey(DEFAULT)).not.toEqual(runKey(DEFAULT));
  });

  const spellings: readonly (readonly [one: string, other: string])[] = [
    ["public.headgate_migrations", 'PUBLIC."headgate_migrations"'],
    ["Ops.T", '"ops"."t"'],
    ['"a""b".t', '"a""b"."t"'],
  ];
  test.each(spellings)("are equal for %s and %s", (one, other) => {
    expect(stepKey(placeOf(one))).toEqual(stepKey(placeOf(other)));
  });

  const different: readonly (readonly [one: LedgerPlace, other: LedgerPlace])[] = [
    [DEFAULT, { ...DEFAULT, schema: "app" }],
    [DEFAULT, { ...DEFAULT, table: "Headgate_migrations" }],
    [
      { schema: "a.b", table: "c" },
      { schema: "a", table: "b.c" },
    ],
    [
      { schema: 'a"."b', table: "c" },
      { schema: "a", table: 'b"."c' },
    ],
    [
      { schema: "ab", table: "c" },
      { schema: "a", table: "bc" },
    ],
  ];
  test.each(different)("differ for %j and %j", (one, other) => {
    expect(stepKey(one).ledger).not.toBe(stepKey(other).ledger);
  });

  test("are signed 32-bit integers on both sides of zero, and spread", () => {
    const keys = Array.from(
      { length: 2000 },
      (_, i) => stepKey({ schema: "s", table: `t${i}` }).ledger,
    );
    expect(keys.every((key) => key === (key | 0))).toBe(true);
    expect(keys.some((key) => key < 0) && keys.some((key) => key > 0)).toBe(true);
    expect(new Set(keys).size).toBeGreaterThan(1990);
    expect([STEP_NAMESPACE, RUN_NAMESPACE].every((key) => key === (key | 0))).toBe(true);
  });
});

test("keyArguments() are two integers and nothing else", () => {
  expect(keyArguments({ namespace: 1, ledger: -2 })).toBe("1, -2");
  expect(() => keyArguments({ namespace: 1, ledger: "2)" } as unknown as GateKey)).toThrow(
    RangeError,
  );
});

function placeOf(text: string): LedgerPlace {
  const name = parseLedgerName(text);
  if (name?.schema === undefined) throw new Error(`${text} has no schema`);
  return { schema: name.schema, table: name.table };
}
