import { describe, expect, test } from "bun:test";
import { renderDoctor, toDoctor } from "../../src/cli/render-doctor.ts";
import { type Finding, sortFindings, uncheckedFinding } from "../../src/core/doctor.ts";
import { judgeClock, judgeTls, type TlsSight } from "../../src/core/doctor-connection.ts";
import { judgeLedger, judgeRbac, judgeRights } from "../../src/core/doctor-ledger.ts";
import { judgePool, type PoolSight, poolMode } from "../../src/core/doctor-pool.ts";
import { judgeRoom, judgeStartup, type RoomSight } from "../../src/core/doctor-room.ts";
import { judgeBuilder, judgeIndex, judgeKeeper } from "../../src/core/doctor-schema.ts";
import { judgeServer } from "../../src/core/doctor-server.ts";
import { bundleOf } from "./ledgers.ts";

const severities = (findings: readonly Finding[]): string =>
  findings.map(({ severity }) => severity).join(" ");

const DIRECT: PoolSight = {
  isPooled: false,
  isStatementMode: false,
  isShared: false,
  hasLeaked: undefined,
  isLeftOver: false,
};
const POOLED = { ...DIRECT, isPooled: true };

describe("judgePool()", () => {
  const table: readonly [sight: PoolSight, mode: string, gates: string, others: string][] = [
    [DIRECT, "direct", "note", "note"],
    [{ ...POOLED, isStatementMode: true }, "statement", "error", "note"],
    [{ ...POOLED, isShared: true, hasLeaked: true }, "transaction", "note warning", "note warning"],
    [{ ...POOLED, isShared: true, hasLeaked: false }, "transaction", "note note", "note note"],
    [POOLED, "unproven", "note note", "note note"],
    [{ ...POOLED, isLeftOver: true }, "unproven", "note note note", "note note note"],
  ];
  test.each(table)("%p is %s: %s", (sight, mode, gates, others) => {
    expect(poolMode(sight)).toBe(mode as ReturnType<typeof poolMode>);
    expect(severities(judgePool(sight, { source: "A", isGates: true }))).toBe(gates);
    expect(severities(judgePool(sight, { source: "A", isGates: false }))).toBe(others);
  });
});

describe("judgeRoom()", () => {
  const table: readonly [sight: RoomSight, checks: string][] = [
    [{ places: 3, isIdleEnded: false }, ""],
    [{ places: 3, isIdleEnded: true }, "pool-idle"],
    [{ places: 2, isIdleEnded: undefined }, "pool-size"],
    [{ places: 1, isIdleEnded: undefined }, "pool-size"],
    [{ places: 0, isIdleEnded: undefined }, ""],
  ];
  test.each(table)("%p: %s", (sight, checks) => {
    const findings = judgeRoom(sight, "A");
    expect(findings.map(({ check }) => check).join(" ")).toBe(checks);
    expect(findings.every(({ severity }) => severity === "warning")).toBe(true);
  });
});

test("judgeStartup() names what is refused, and how to let it pass", () => {
  expect(judgeStartup([], "A")).toEqual([]);
  const [finding] = judgeStartup(["options", "search_path"], "A");
  expect(finding?.remedy).toContain("ignore_startup_parameters = options, search_path");
});

describe("judgeServer()", () => {
  const facts = { version: 180_004, role: "me", database: "app", settings: [] };
  const remedyOf = (name: string, value: string, source: string): string | undefined =>
    judgeServer({ ...facts, settings: [{ name, value, source }] })[0]?.remedy;

  test("an old server is a warning", () => {
    expect(severities(judgeServer({ ...facts, version: 130_011 }))).toBe("warning");
    expect(judgeServer(facts)).toEqual([]);
  });

  const table: readonly [
    name: string,
    value: string,
    source: string,
    remedy: string | undefined,
  ][] = [
    ["lock_timeout", "0", "default", undefined],
    ["lock_timeout", "1", "user", 'alter role "me" reset lock_timeout'],
    ["lock_timeout", "1", "database", 'alter database "app" reset lock_timeout'],
    ["lock_timeout", "1", "database user", 'alter role "me" in database "app" reset lock_timeout'],
    ["lock_timeout", "1", "configuration file", "alter role \"me\" set lock_timeout = '0'"],
    ["default_transaction_read_only", "off", "default", undefined],
    [
      "default_transaction_read_only",
      "on",
      "configuration file",
      "alter role \"me\" set default_transaction_read_only = 'off'",
    ],
    ["default_transaction_isolation", "read committed", "default", undefined],
    ["client_connection_check_interval", "2000", "database", undefined],
    [
      "client_connection_check_interval",
      "0",
      "default",
      "As a superuser: alter database \"app\" set client_connection_check_interval = '2s'",
    ],
    ["work_mem", "1", "user", undefined],
  ];
  test.each(table)("%s = %s from %s", (name, value, source, remedy) => {
    expect(remedyOf(name, value, source)).toBe(remedy);
  });
});

describe("judgeClock()", () => {
  const table: readonly [serverMs: number, beforeMs: number, afterMs: number, found: number][] = [
    [1000, 900, 1100, 0],
    [6000, 900, 1000, 0],
    [6001, 900, 1000, 1],
    [1000, 6000, 6100, 0],
    [999, 6000, 6100, 1],
    [5000, 0, 60_000, 0],
  ];
  test.each(table)("%d between %d and %d", (serverMs, beforeMs, afterMs, found) => {
    expect(judgeClock({ serverMs, beforeMs, afterMs })).toHaveLength(found);
  });
});

describe("judgeTls()", () => {
  const at = (host: string, sslMode: TlsSight["target"]["sslMode"]): TlsSight["target"] => ({
    hosts: [{ host, port: 5432 }],
    sslMode,
    source: "A",
  });
  const table: readonly [
    target: TlsSight["target"],
    isEncrypted: boolean,
    isPooled: boolean,
    found: string,
  ][] = [
    [at("db", "prefer"), false, false, "warning"],
    [at("db", "prefer"), true, false, "note"],
    [at("db", "verify-full"), true, false, ""],
    [at("127.0.0.1", "prefer"), false, false, "note"],
    [at("/run", "prefer"), false, false, "note"],
    [at("db", "prefer"), true, true, "note"],
    [at("db", "require"), false, true, "note"],
    [at("db", "verify-full"), false, true, ""],
  ];
  test.each(table)("%p, encrypted %p, pooled %p: %p", (target, isEncrypted, isPooled, found) => {
    expect(severities(judgeTls({ target, isEncrypted, isPooled }))).toBe(found);
  });
});

describe("judgeRights()", () => {
  const place = { schema: "s", table: "t" };
  const rights = { mayCreate: true, schemaOwner: "boss", role: "me" };

  test("names the GRANT", () => {
    expect(judgeRights(place, { ...rights, mayCreate: false }, undefined)[0]?.remedy).toBe(
      'As "boss" or a superuser: grant create, usage on schema "s" to "me"',
    );
    const ledger = { missing: ["insert"], owner: "other", isOwners: false };
    expect(judgeRights(place, rights, ledger).map(({ remedy }) => remedy)).toEqual([
      'As "other" or a superuser: grant insert on "s"."t" to "me"',
      'Migrate as one role; or grant "other" to "me"',
    ]);
    expect(judgeRights(place, rights, { missing: [], owner: "me", isOwners: true })).toEqual([]);
  });
});

test("judgeLedger() says nothing at head", () => {
  expect(judgeLedger({ kind: "at-head" })).toEqual([]);
  expect(severities(judgeLedger({ kind: "fresh", pending: bundleOf(2) }))).toBe("note");
});

test("judgeRbac() says nothing where the tables are not the gateway's", () => {
  const catalog = { missing: ["roles"], unbacked: ["x"], schema: "s" };
  expect(judgeRbac(catalog, [{ what: "role a", count: 2 }])).toEqual([]);
  expect(severities(judgeRbac({ ...catalog, missing: [] }, [{ what: "role a", count: 2 }]))).toBe(
    "warning error",
  );
});

test("judgeIndex() gives statements that can be run as they stand", () => {
  const index = {
    schema: "s",
    name: 'we"ird',
    table: "s.t",
    definition: "CREATE UNIQUE INDEX x ON s.t USING btree (a)",
    owner: "me",
    builder: null,
  };
  expect(judgeIndex(index).remedy).toBe(
    'drop index concurrently "s"."we""ird"; then again: CREATE UNIQUE INDEX CONCURRENTLY x ON s.t USING btree (a)',
  );
  expect(judgeIndex({ ...index, builder: 4711 }).severity).toBe("note");
});

test("judgeBuilder() calls a zombie only what belongs to a run and is guarded by nobody", () => {
  const builder = { pid: 7, table: "t", phase: "p", run: "r", ageMs: 10, isGuarded: false };
  expect(judgeBuilder(builder).severity).toBe("warning");
  expect(judgeBuilder({ ...builder, isGuarded: true }).severity).toBe("note");
  expect(judgeBuilder({ ...builder, run: null }).severity).toBe("note");
});

test("judgeKeeper() quotes names as literals", () => {
  const keeper = { name: "it's", owner: "me", ageMs: 10 };
  expect(judgeKeeper({ ...keeper, kind: "prepared" }).remedy).toContain("'it''s'");
  expect(judgeKeeper({ ...keeper, kind: "slot" }).remedy).toContain("('it''s')");
});

test("findings are strongest first, and counted", () => {
  const of = (check: string, severity: Finding["severity"]): Finding => ({
    ...uncheckedFinding(check, "gone"),
    severity,
  });
  const findings = sortFindings([
    of("a", "note"),
    of("b", "error"),
    of("c", "warning"),
    of("d", "error"),
  ]);
  expect(findings.map(({ check }) => check)).toEqual(["b", "d", "c", "a"]);
  expect(renderDoctor(findings)).toEndWith("\n2 errors, 1 warning, 1 note\n");
  expect(toDoctor(findings)).toMatchObject({ errors: 2, warnings: 1, notes: 1 });
});
