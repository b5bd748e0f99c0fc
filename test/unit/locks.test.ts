import { describe, expect, test } from "bun:test";
import { renderLocks, toLocks } from "../../src/cli/render-locks.ts";
import { advisoryKey, renderKey, toolOf } from "../../src/core/advisory-key.ts";
import { runKey, stepKey } from "../../src/core/gate-key.ts";
import {
  classifyLocks,
  describeLevel,
  type Lock,
  type LockRow,
  whyLiving,
} from "../../src/core/locks.ts";
import { ROW } from "./lock-row.ts";

const PLACE = { schema: "public", table: "headgate_migrations" };
const SCOPE = { place: PLACE, database: "app", lockId: undefined };

const gate = (row: Partial<LockRow> = {}): LockRow => {
  const { namespace: first, ledger: second } = stepKey(PLACE);
  return { ...ROW, key: { kind: "pair", first, second }, ...row };
};
const lock = (row: Partial<LockRow> = {}): Lock =>
  classifyLocks([{ ...ROW, ...row }], SCOPE)[0] as Lock;

describe("advisoryKey()", () => {
  const table: readonly [classid: number, objid: number, objsubid: number, text: string][] = [
    [9877, 2850441650, 1, "42424242424242"],
    [0, 72707369, 1, "72707369"],
    [4294967295, 4294967295, 1, "-1"],
    [2147483648, 0, 1, "-9223372036854775808"],
    [2147483647, 4294967295, 1, "9223372036854775807"],
    [4294967295, 2, 2, "(-1, 2)"],
  ];
  test.each(table)("of %d, %d, %d is %s", (classid, objid, objsubid, text) => {
    expect(renderKey(advisoryKey(classid, objid, objsubid))).toBe(text);
  });
});

/** As Atlas makes a key of a lock's name. */
function fnv1(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash, 0x01000193) ^ byte;
  return hash >>> 0;
}

describe("toolOf()", () => {
  const FLYWAY = 0x466c79776179n;
  const table: readonly [value: bigint, tool: string | undefined][] = [
    [42424242424242n, "the gateway's Alembic bootstrap"],
    [72707369n, "Prisma Migrate"],
    [4097083626n, "goose"],
    [BigInt(fnv1("atlas_migrate_execute")), "Atlas"],
    [4727445306447283n, "Graphile Migrate"],
    [9628173550095224n, "tern"],
    [7241865325823964n, "node-pg-migrate"],
    [3853314791062309107n, "Kysely"],
    [75474063n, "Sqitch"],
    [FLYWAY + 2n ** 31n - 1n, "Flyway"],
    [FLYWAY - 2n ** 31n, "Flyway"],
    [FLYWAY + 2n ** 31n, undefined],
    [2053462845n * BigInt(Bun.hash.crc32("app")), "Rails"],
    [0x3d32ad9en * BigInt(Bun.hash.crc32("app")), "sqlx"],
    [0x3d32ad9en * BigInt(Bun.hash.crc32("other")), undefined],
    [
      BigInt(Math.imul(Bun.hash.crc32("public\0schema_migrations\0app"), 1486364155) >>> 0),
      "golang-migrate",
    ],
    [0n, undefined],
  ];
  test.each(table)("of %p is %p", (value, tool) => {
    expect(toolOf({ kind: "bigint", value }, "app")).toBe(tool);
  });

  test("sqlx's own example, for a database named zone", () => {
    expect(toolOf({ kind: "bigint", value: 2_771_974_297_191_923_538n }, "zone")).toBe("sqlx");
  });

  test("of two integers is nobody", () => {
    expect(toolOf({ kind: "pair", first: 0, second: 72707369 }, "app")).toBeUndefined();
  });
});

test("classifyLocks() puts the gate's first, holders before waiters", () => {
  const { namespace: first, ledger: second } = runKey(PLACE);
  const rows: readonly LockRow[] = [
    { ...ROW, key: { kind: "bigint", value: 1n }, pid: 1 },
    { ...ROW, pid: 2 },
    { ...ROW, key: { kind: "bigint", value: 5n }, pid: 3 },
    { ...ROW, key: undefined, pid: 4 },
    gate({ pid: 5, isGranted: false }),
    { ...ROW, key: { kind: "pair", first, second }, pid: 6 },
    gate({ pid: 7 }),
  ];
  const seen = classifyLocks(rows, { ...SCOPE, lockId: 5n }).map(({ kind, pid }) => [kind, pid]);
  expect(seen).toEqual([
    ["step", 7],
    ["step", 5],
    ["run", 6],
    ["ledger", 4],
    ["lock-id", 3],
    ["tool", 2],
    ["unknown", 1],
  ]);
});

describe("whyLiving()", () => {
  const table: readonly [
    when: string,
    now: Partial<LockRow> | undefined,
    why: RegExp | undefined,
  ][] = [
    ["nothing changed", {}, undefined],
    ["it let go", undefined, /let go/],
    ["it holds another lock", { key: { kind: "bigint", value: 1n } }, /let go/],
    ["another session has the pid", { backendStart: "9.5" }, /another session/],
    ["it is in a transaction", { isSessionIdle: false }, /in a transaction/],
    ["it is active", { state: "active" }, /its state is active/],
    ["the server hides it", { state: null }, /hides/],
    ["it was busy in between", { stateChange: "3.5" }, /between/],
  ];
  test.each(table)("when %s", (_when, now, why) => {
    const answer = whyLiving(lock(), now && lock(now));
    if (why === undefined) expect(answer).toBeUndefined();
    else expect(answer).toMatch(why);
  });
});

describe("renderLocks()", () => {
  test("nobody", () => {
    expect(renderLocks({ place: PLACE, database: "app", locks: [] })).toBe(
      'Gate of ledger "public"."headgate_migrations" in database app: nobody holds or waits for it\n',
    );
  });

  test("a holder, a waiter, a prepared transaction and another tool's orphan", () => {
    const rows = [
      gate({ isSessionIdle: false, state: "idle in transaction", xactAgeMs: 1500, run: "r" }),
      gate({ pid: 12, isGranted: false, isSessionIdle: false, blockedBy: [4711, 0] }),
      gate({ pid: null, gid: "left", isSessionIdle: false, statement: null }),
      ROW,
    ];
    const report = { place: PLACE, database: "app", locks: classifyLocks(rows, SCOPE) };
    expect(renderLocks(report)).toMatchInlineSnapshot(`
      "Gate of ledger "public"."headgate_migrations" in database app
        pid 4711 holds the gate
          in a transaction: its owner is alive or not yet noticed to be gone
          client 10.0.0.7:5000, role me, application app, state idle in transaction for 1 min 30 s, transaction open for 1.5 s
          headgate run r
          last statement: select 1
        prepared transaction left holds the gate
          a prepared transaction without a process: commit prepared or rollback prepared 'left' ends it
        pid 12 waits for the gate
          waits for pid 4711, a prepared transaction
          client 10.0.0.7:5000, role me, application app, state idle for 1 min 30 s
          last statement: select 1

      Other advisory locks of this database
        pid 4711 holds advisory lock 42424242424242 (the gateway's Alembic bootstrap)
          session-level and idle: an orphan or an idle living holder, which SQL cannot tell apart
          client 10.0.0.7:5000, role me, application app, state idle for 1 min 30 s
          last statement: select 1

      Once you know that nobody needs it: "headgate locks release PID"
      "
    `);
    expect(JSON.parse(JSON.stringify(toLocks(report))).locks[3]).toMatchObject({
      key: "42424242424242",
      session_level_and_idle: true,
    });
  });

  test("an orphan is never called one", () => {
    expect(describeLevel(lock())).toBe(
      "session-level and idle: an orphan or an idle living holder, which SQL cannot tell apart",
    );
  });
});
