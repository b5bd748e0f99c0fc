/**
 * Every head state of a real ledger, and what the commands conclude from it. The ledger is made by
 * `up` and then altered by hand, as an incident leaves it.
 */
import { describe, expect, test } from "bun:test";
import { migrationFolder } from "../support/folder.ts";
import { eventOf, headgate, type Run, withUrl } from "../support/headgate.ts";
import { asRole, query, tablesOf } from "../support/query.ts";
import { openStub } from "../support/stub-server.ts";
import { useServers } from "../support/use-servers.ts";

const servers = useServers();

const FILES = {
  "10_a.sql": "create table a (id int);",
  "20_b.sql": "create table b (id int);",
  "30_c.sql": "create table c (id int);",
};
const folder = migrationFolder(FILES);
const grownFolder = migrationFolder({ ...FILES, "40_d.sql": "create table d (id int);" });
const editedHead = migrationFolder({ ...FILES, "30_c.sql": "create table c (id bigint);" });
const editedBelow = migrationFolder({ ...FILES, "10_a.sql": "create table a (id bigint);" });

/** A row by hand: whatever `columns` says, and else as another binary would have written it. */
function insertRow(version: number, state = "applied", columns = "false, null"): string {
  return `insert into headgate_migrations (version, name, checksum, history, state, breaking, lease_until)
select ${version}, 'x', checksum, history, '${state}', ${columns} from headgate_migrations where version = 20`;
}

/** The row of the bundle's own version 30, as a runner that died would have left it. */
function unfinished(state: string, lease = "null"): string {
  return `update headgate_migrations set state = '${state}', finished_at = null, lease_until = ${lease},
run_id = 'c0ffee00-0000-4000-8000-000000000000', applied_by = 'app@pod-7:1' where version = 30`;
}

const ALL_GONE = "drop table a, b, c, headgate_migrations";
const EMPTY = "delete from headgate_migrations; drop table a, b, c";
const ROW_30_GONE = "delete from headgate_migrations where version = 30; drop table c";
const FUTURE = "clock_timestamp() + interval '1 hour'";
const PAST = "clock_timestamp() - interval '1 hour'";

interface Expected {
  readonly state: string;
  /** Exit statuses of: probe, probe --policy exact, up, status --exit-code. */
  readonly exits: readonly [probe: number, exact: number, up: number, status: number];
  readonly dir?: string;
}

const table: readonly [when: string, alter: string, then: Expected][] = [
  ["nothing was altered", "select", { state: "at-head", exits: [0, 0, 0, 0] }],
  ["there is no ledger", ALL_GONE, { state: "fresh", exits: [1, 1, 0, 3] }],
  ["the ledger is empty", EMPTY, { state: "fresh", exits: [1, 1, 0, 3] }],
  ["the last row is missing", ROW_30_GONE, { state: "behind", exits: [1, 1, 0, 3] }],
  ["the database has one more", insertRow(40), { state: "ahead", exits: [0, 1, 0, 0] }],
  [
    "the database has one more, and it is breaking",
    insertRow(40, "applied", "true, null"),
    { state: "ahead", exits: [1, 1, 8, 8] },
  ],
  [
    "one of two more is breaking",
    `${insertRow(40, "applied", "true, null")}; ${insertRow(50)}`,
    { state: "ahead", exits: [1, 1, 8, 8] },
  ],
  [
    "the head's file was edited",
    "select",
    { state: "drifted", exits: [1, 1, 5, 5], dir: editedHead },
  ],
  [
    "a file below the head was edited",
    "select",
    { state: "drifted", exits: [1, 1, 5, 5], dir: editedBelow },
  ],
  [
    "the head row's history was altered",
    "update headgate_migrations set history = 'x' where version = 30",
    { state: "drifted", exits: [1, 1, 5, 5] },
  ],
  [
    "the head row is missing and there is one above it",
    `${insertRow(40)}; delete from headgate_migrations where version = 30`,
    { state: "drifted", exits: [1, 1, 5, 5] },
  ],
  [
    "a row is running and nobody is alive",
    unfinished("running"),
    { state: "interrupted", exits: [1, 1, 4, 4] },
  ],
  [
    "a row is running and its lease is over",
    unfinished("running", PAST),
    { state: "interrupted", exits: [1, 1, 4, 4] },
  ],
  [
    "a row is running and its lease holds",
    unfinished("running", FUTURE),
    { state: "running", exits: [1, 1, 6, 3] },
  ],
  ["a row has failed", unfinished("failed"), { state: "interrupted", exits: [1, 1, 4, 4] }],
  [
    "a row has failed, whatever lease it has",
    unfinished("failed", FUTURE),
    { state: "interrupted", exits: [1, 1, 4, 4] },
  ],
  [
    "a row above the head has failed",
    insertRow(40, "failed"),
    { state: "interrupted", exits: [1, 1, 4, 4] },
  ],
  [
    "a row has failed and a file was edited",
    unfinished("failed"),
    { state: "drifted", exits: [1, 1, 5, 5], dir: editedBelow },
  ],
];

async function migrated(alter: string): Promise<string> {
  const { url } = await servers.postgres.createDatabase();
  expect((await headgate(["up", "--dir", folder], withUrl(url))).status).toBe(0);
  await query(url, alter);
  return url;
}

const jsonOf = (run: Run): Record<string, unknown> => JSON.parse(run.stdout);

describe("when", () => {
  test.each(table)("%s, every command says so", async (_when, alter, then) => {
    const url = await migrated(alter);
    const ask = (...args: string[]): Promise<Run> =>
      headgate([...args, "--dir", then.dir ?? folder], withUrl(url));

    const [probe, exact, status] = await Promise.all([
      ask("probe", "--json"),
      ask("probe", "--policy", "exact"),
      ask("status", "--json", "--exit-code"),
    ]);
    const up = await ask("up", "--lock-wait", "1s");

    expect(jsonOf(status)).toMatchObject({ v: 1, command: "status", state: then.state });
    expect(jsonOf(status)["ready"]).toBe(then.exits[0] === 0);
    expect(jsonOf(probe)).toMatchObject({ v: 1, state: then.state, ready: then.exits[0] === 0 });
    expect([probe, exact, up, status].map((run) => run.status)).toEqual([...then.exits]);
    if (up.status === 0) expect((await ask("probe")).status).toBe(0);
  });
});

describe("rows altered by hand below the head are seen by those who read everything:", () => {
  const altered: readonly [what: string, alter: string][] = [
    ["a missing row", "delete from headgate_migrations where version = 10"],
    ["an edited checksum", "update headgate_migrations set checksum = 'x' where version = 10"],
    ["a row that the bundle does not have", insertRow(15)],
  ];
  test.each(altered)("%s", async (_what, alter) => {
    const url = await migrated(alter);
    const ask = (...args: string[]): Promise<Run> => headgate(args, withUrl(url));

    const status = await ask("status", "--json", "--exit-code", "--dir", folder);
    expect(jsonOf(status)["state"]).toBe("drifted");
    expect(status.status).toBe(5);
    expect((await ask("probe", "--dir", folder)).status).toBe(0);
    const slow = await ask("up", "--dir", grownFolder);
    expect(slow.status).toBe(5);
    expect(eventOf(slow, "command.failed")?.["code"]).toBe("drifted");
    expect(await tablesOf(url)).not.toContain("public.d");
  });
});

test("up waits for a living builder and names it when its patience ends", async () => {
  const url = await migrated(unfinished("running", FUTURE));
  const up = await headgate(["up", "--dir", folder, "--lock-wait", "1s"], withUrl(url));
  expect(up.status).toBe(6);
  const message = String(eventOf(up, "command.failed")?.["reason"]);
  expect(message).toContain("30 c");
  expect(message).toContain("app@pod-7:1");
  expect(message).toContain("c0ffee00-0000-4000-8000-000000000000");
});

test("up goes on as soon as the builder is done", async () => {
  const url = await migrated(unfinished("running", FUTURE));
  const up = headgate(["up", "--dir", grownFolder, "--lock-wait", "20s"], withUrl(url));
  await Bun.sleep(400);
  await query(url, "update headgate_migrations set state = 'applied' where version = 30");
  expect((await up).status).toBe(0);
  expect(await tablesOf(url)).toContain("public.d");
});

test("status shows each migration's own state", async () => {
  const url = await migrated(`${unfinished("failed")}; ${insertRow(40)}`);
  const status = await headgate(["status", "--json", "--dir", grownFolder], withUrl(url));
  const entries = jsonOf(status)["migrations"] as readonly Record<string, unknown>[];
  expect(entries.map((entry) => [entry["version"], entry["state"]])).toEqual([
    [10, "applied"],
    [20, "applied"],
    [30, "interrupted"],
    [40, "drifted"],
  ]);
  expect(status.status).toBe(0);
});

describe("an unreadable ledger", () => {
  const shapes: readonly [which: string, make: string][] = [
    ["without our columns", "create table headgate_migrations (id int primary key, note text)"],
    [
      "with values of another type",
      `create table headgate_migrations (version text, name text, checksum text, history text, state text,
error text, breaking boolean, run_id uuid, lease_until timestamptz, started_at timestamptz,
finished_at timestamptz, duration_ms bigint, applied_by text, tool_version text);
insert into headgate_migrations (version, name, checksum, history, state) values ('31', 'x', 'x', 'x', 'done')`,
    ],
  ];
  test.each(shapes)("%s: probe 1, and up and status 7 say what it is", async (_which, make) => {
    const { url } = await servers.postgres.createDatabase();
    await query(url, make);
    const ask = (command: string): Promise<Run> =>
      headgate([command, "--json", "--dir", folder], withUrl(url));

    const [probe, status, up] = [await ask("probe"), await ask("status"), await ask("up")];
    expect([probe, status, up].map((run) => run.status)).toEqual([1, 7, 7]);
    expect(jsonOf(probe)["state"]).toBe("unreadable");
    expect(eventOf(up, "peek.failed")?.["level"]).toBe("warn");
    for (const run of [status, up]) expect(run.stdout).toContain("another shape");
    expect(await tablesOf(url)).toEqual(["public.headgate_migrations"]);
  });

  test("that the role may not read: probe 1, up and status 7 with the GRANT", async () => {
    const url = await migrated("select");
    const role = await servers.postgres.createRole();
    const ask = (command: string): Promise<Run> =>
      headgate([command, "--json", "--dir", folder], withUrl(asRole(url, role)));

    const [probe, status, up] = [await ask("probe"), await ask("status"), await ask("up")];
    expect([probe, status, up].map((run) => run.status)).toEqual([1, 7, 7]);
    expect(jsonOf(probe)["state"]).toBe("unreadable");
    expect(eventOf(up, "peek.failed")?.["level"]).toBe("warn");
    for (const run of [probe, status, up]) {
      expect(run.stdout).toContain("42501");
      expect(run.stdout).toContain("grant select");
    }
  });

  test("in a schema that is not there counts as fresh; up asks for the schema and makes none", async () => {
    const { url } = await servers.postgres.createDatabase();
    const ask = (...args: string[]): Promise<Run> =>
      headgate([...args, "--ledger", "ops.ledger", "--dir", folder], withUrl(url));

    expect((await ask("probe")).status).toBe(1);
    expect((await ask("status", "--exit-code")).status).toBe(3);
    const up = await ask("up");
    expect(up.status).toBe(2);
    expect(up.stderr).toContain('create schema \\"ops\\"');
    expect(await tablesOf(url)).toEqual([]);
  });
});

describe("an empty bundle is never at head, and the database is not asked:", () => {
  test.each([
    ["probe", 1],
    ["up", 2],
    ["status", 2],
    ["plan", 2],
  ] as const)("%s exits %d", async (command, exit) => {
    const stub = await openStub();
    const run = await headgate([command, "--dir", migrationFolder({})], withUrl(stub.url));
    await stub.close();
    expect(run.status).toBe(exit);
    expect(stub.connections()).toBe(0);
  });
});
