import { describe, expect, test } from "bun:test";
import { drillBundle, LAST_STEP, parseRunnerLine, sizeWithin } from "../../src/core/drill.ts";
import { parseScratch, scratchOf, tokenOf } from "../../src/core/drill-scratch.ts";
import { headAfterMs, recoveryMs } from "../../src/core/drill-times.ts";
import { type DrillSight, type Fault, judgeDrill } from "../../src/core/drill-verdict.ts";
import { quoteLedger } from "../../src/core/identifier.ts";
import { refuseUnrunnable } from "../../src/core/runnable.ts";

const TOKEN = "0123456789ab";
const LEDGER = "headgate_migrations";

describe("judgeDrill()", () => {
  const good: DrillSight = {
    versions: [1, 2],
    runners: [{ kind: "killed" }, { kind: "ended", status: 0, reason: undefined }],
    audit: [
      { version: 1, beganMs: 0, endedMs: 10 },
      { version: 2, beganMs: 10, endedMs: 20 },
    ],
    recorded: [1, 2],
    state: "at-head",
    left: [],
    leftAfterMs: 0,
  };
  const [first, second] = [good.audit[0], good.audit[1]] as const;
  if (!first || !second) throw new Error("two rows");
  const ended = (status: number, reason?: string) =>
    ({ kind: "ended", status, reason }) as const satisfies DrillSight["runners"][number];

  // biome-ignore format: a table
  const table: readonly [when: string, change: Partial<DrillSight>, then: readonly [Fault["kind"], string][]][] = [
    ["all is well", {}, []],
    ["a migration was committed twice", { audit: [first, first, second] }, [["double-run", "migration 1 was committed 2 times"]]],
    ["two migrations were at work at once", { audit: [first, { ...second, beganMs: 9 }] }, [["overlap", "migrations 1 and 2 were at work at the same moment"]]],
    ["a row has no effect", { audit: [first] }, [["torn", "migration 2 is in the ledger, and its effect is not there"]]],
    ["an effect has no row", { recorded: [1], state: "behind" }, [
      ["torn", "migration 2 took effect, and the ledger does not know it"],
      ["not-at-head", "the ledger is behind after the race"],
    ]],
    ["head was not reached", { audit: [], recorded: [], state: "fresh" }, [["not-at-head", "the ledger is fresh after the race"]]],
    ["survivors fail", { runners: [{ kind: "killed" }, ended(0), ended(6, "no gate"), ended(-1)] }, [["runner-failed", "2 of 3 runners that nobody killed failed, the first with 6: no gate"]]],
    ["one shows no life", { runners: [ended(0), { kind: "hung" }] }, [["runner-hung", "1 runners showed no life and were ended"]]],
    ["sessions stay", { leftAfterMs: 3000, left: [{ pid: 7, what: "gate", state: "idle" }, { pid: null, what: "ledger", state: null }] }, [
      ["left-behind", "3000 ms after the last runner had ended, its work goes on: pid 7 (gate, idle), a prepared transaction (ledger, state hidden)"],
    ]],
  ];
  test.each(table)("when %s", (_when, change, then) => {
    const faults = judgeDrill({ ...good, ...change });
    expect(faults.map(({ kind, what }) => [kind, what])).toEqual(then as unknown as string[][]);
    for (const { why } of faults) expect(why).toMatch(/\w{3}.*[^.]$/);
  });
});

describe("sizeWithin()", () => {
  // biome-ignore format: a table
  const table: readonly [free: number, replicas: number, kill: number][] = [
    [100, 24, 5], [48, 24, 5], [47, 23, 5], [9, 4, 3], [4, 2, 1], [3, 1, 0], [0, 0, 0], [-5, 0, 0],
  ];
  test.each(table)("with %d free connections", (free, replicas, kill) => {
    expect(sizeWithin({ replicas: 24, kill: 5 }, free)).toEqual({ replicas, kill });
  });
});

describe("parseScratch()", () => {
  test.each([undefined, "public", 'we"ird.one'])(
    "reads what a drill gives its runners (%s)",
    (existing) => {
      const scratch = scratchOf(TOKEN, existing);
      expect(parseScratch(quoteLedger(scratch.ledger))).toEqual(scratch);
    },
  );
  test.each([
    LEDGER,
    `public.${LEDGER}`,
    `headgate_drill_${TOKEN}_ledger`,
    `headgate_drill_${TOKEN}.${LEDGER}`,
    `headgate_drill_${TOKEN}.audit`,
    `public.headgate_drill_${TOKEN}_audit`,
    `public.headgate_drill_${TOKEN}_ledger_2`,
    `public.headgate_drill_x_ledger`,
    "public.ledger",
    "headgate_drill_.ledger",
    "",
  ])("takes no other table: %s", (text) => {
    expect(parseScratch(text)).toBeUndefined();
  });
  test("tokenOf() takes the digits of a UUID", () => {
    expect(tokenOf("01234567-89ab-4cde-8f01-23456789abcd")).toBe(TOKEN);
  });
});

test("drillBundle() names only the scratch place, and what it holds may run", () => {
  const bundle = drillBundle(scratchOf(TOKEN, 'we"ird'));
  expect(bundle).toHaveLength(LAST_STEP);
  refuseUnrunnable(bundle, "up");
  for (const { up } of bundle) {
    expect(up.sql.match(/(?:insert into|update) (\S+)/g)).toEqual([
      `insert into "we""ird"."headgate_drill_${TOKEN}_audit"`,
      `update "we""ird"."headgate_drill_${TOKEN}_audit"`,
    ]);
  }
});

test("parseRunnerLine() reads events and nothing else", () => {
  expect(parseRunnerLine('{"event":"migration.started","version":3}')).toEqual({
    event: "migration.started",
    version: 3,
    reason: undefined,
  });
  expect(parseRunnerLine('{"event":"command.failed","reason":"Cannot"}')?.reason).toBe("Cannot");
  expect(parseRunnerLine("Killed")).toBeUndefined();
});

describe("times", () => {
  const kills = [
    { atMs: 100, isInside: true },
    { atMs: 200, isInside: false },
    { atMs: 300, isInside: true },
  ];
  test("recoveryMs() is the longest gap behind a kill inside the gate", () => {
    expect(recoveryMs(kills, [90, 150, 201, 420])).toBe(120);
    expect(recoveryMs(kills, [90])).toBeUndefined();
    expect(recoveryMs([], [90])).toBeUndefined();
  });
  test("headAfterMs() is from the last kill to the first who found head", () => {
    expect(headAfterMs(kills, [900, 700])).toBe(400);
    expect(headAfterMs(kills, [250])).toBe(0);
    expect(headAfterMs(kills, [])).toBeUndefined();
    expect(headAfterMs([], [700])).toBeUndefined();
  });
});
