/**
 * `drill` proves the protocol on the user's own route and leaves nothing behind, however it ends.
 * Against a headgate whose gate is broken its verdict is red.
 */

import { expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { migrationFolder } from "../support/folder.ts";
import { eventOf, headgate, type Run, start, withUrl } from "../support/headgate.ts";
import { holdOpen } from "../support/lock-holder.ts";
import { buildMutant, type Mutation } from "../support/mutant.ts";
import { asRole, hold, query, tablesOf, until } from "../support/query.ts";
import type { Database } from "../support/substrate.ts";
import { useServers } from "../support/use-servers.ts";

const SMALL = ["drill", "--replicas", "6", "--kill", "2"];
const SCRATCHES = "select nspname from pg_namespace where nspname like 'headgate_drill_%'";
const IS_ASLEEP =
  "select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'";

/** Nothing keeps a second runner out, and nothing stops it in the end. */
const NO_GATE: readonly Mutation[] = [
  {
    file: "db/gate.ts",
    find: "const own = `pg_try_advisory_xact_lock(",
    replace: "const own = `true or pg_try_advisory_xact_lock(",
  },
  { file: "db/gate.ts", find: "in share row exclusive mode`", replace: "in access share mode`" },
  { file: "db/ledger.ts", find: "version bigint primary key", replace: "version bigint" },
];
const ANY_KEY: readonly Mutation[] = ["classid", "objid"].map((column) => ({
  file: "db/drill-contrast.ts",
  find: `and l.${column}::bigint =`,
  replace: "and 0 <=",
}));

const servers = useServers({ poolSize: 2 });

interface Report {
  readonly v: number;
  readonly verdict: string;
  readonly faults: readonly {
    readonly kind: string;
    readonly what: string;
    readonly why: string;
  }[];
  readonly pooled: boolean;
  readonly scratch: string;
  readonly replicas: number;
  readonly free_connections: number;
  readonly killed: number;
  readonly killed_inside: number;
  readonly recovery_ms: number;
  readonly head_after_ms: number;
  readonly contrast: null | {
    readonly inside_at_once: number;
    readonly orphans: readonly number[];
    readonly left: readonly number[];
  };
}

const reportOf = (run: Run): Report => JSON.parse(run.stdout) as Report;

/** A database that headgate migrates already. */
async function usersDatabase(): Promise<Database> {
  const database = await servers.postgres.createDatabase();
  const dir = migrationFolder({ "1_users.sql": "create table users ();" });
  expect((await headgate(["up", "--dir", dir], withUrl(database.url))).status).toBe(0);
  return database;
}

/** Everything that a drill could have touched. */
async function stateOf({ url }: Database): Promise<unknown> {
  const ledger = await query(url, "select * from headgate_migrations");
  return { ledger, tables: await tablesOf(url), scratches: await query(url, SCRATCHES) };
}

async function lockHolders(url: string): Promise<readonly number[]> {
  const rows = await query(
    url,
    `select distinct pid from pg_locks where locktype = 'advisory'
and database = (select oid from pg_database where datname = current_database())`,
  );
  return rows.map((row) => Number(row["pid"]));
}

async function backends(url: string): Promise<readonly number[]> {
  return (await query(url, "select pid from pg_stat_activity")).map((row) => Number(row["pid"]));
}

test("a drill on the server itself is good, and leaves the database as it was", async () => {
  const database = await usersDatabase();
  const before = await stateOf(database);
  const run = await headgate(SMALL, withUrl(database.url));
  expect(run.stdout).toContain("6 runners, 6 migrations, 2 killed");
  expect(run.stdout).toContain("no pooler seen");
  expect(run.stdout).toContain("Verdict: good. Each of 6 migrations ran once");
  expect(run.status).toBe(0);
  expect(run.events.filter(({ event }) => event === "drill.killed")).toHaveLength(2);
  expect(await stateOf(database)).toEqual(before);
  expect(await lockHolders(database.url)).toEqual([]);
}, 120_000);

test("through a pool of 2 it is good, and the contrast shows an orphan and ends exactly it", async () => {
  const database = await usersDatabase();
  const before = await stateOf(database);
  const other = await hold(database.url, "select pg_advisory_lock(1)");
  const run = await headgate(
    [...SMALL, "--contrast", "--json"],
    withUrl(servers.pool.urlOf(database)),
  );
  const report = reportOf(run);
  expect(report).toMatchObject({ v: 1, verdict: "good", faults: [], pooled: true, killed: 2 });
  expect(report.killed_inside).toBeGreaterThan(0);
  expect(report.head_after_ms).toBeGreaterThan(0);
  expect(run.status).toBe(0);
  const shown = report.contrast?.orphans ?? [];
  expect(shown.length).toBeGreaterThan(0);
  expect(report.contrast?.left).toEqual([]);
  expect(await stateOf(database)).toEqual(before);
  expect(await lockHolders(database.url)).toEqual([other.pid]);
  const alive = await backends(database.url);
  expect(shown.filter((pid) => alive.includes(pid))).toEqual([]);
  expect(alive).toContain(other.pid);
  await other.end();
}, 120_000);

test("negative controls: everything that a drill looks for is seen when it is so", async () => {
  const database = await servers.postgres.createDatabase();
  const mutant = await buildMutant(...NO_GATE, ...ANY_KEY);
  const other = await hold(database.url, "select pg_advisory_lock(1, 2)");
  const args = ["drill", "--replicas", "6", "--kill", "0", "--contrast", "--json"];
  const drill = start(args, {
    ...withUrl(servers.pool.urlOf(database)),
    binary: mutant.binary,
  });
  await until(database.url, "select from pg_class where relname = 'audit'");
  const [scratch] = await query(database.url, SCRATCHES);
  const name = String(scratch?.["nspname"]);
  const holder = await holdOpen(
    database.url,
    `lock table ${name}.audit in share update exclusive mode`,
  );
  const run = await drill.done;
  await holder.release();
  mutant.remove();
  expect(run.status).toBe(4);
  const { verdict, faults } = reportOf(run);
  expect(verdict).toBe("faulty");
  const told = (kind: string): string =>
    faults.flatMap((fault) => (fault.kind === kind ? [fault.what, fault.why] : [])).join("; ");
  expect(told("double-run")).toContain("was committed");
  expect(told("left-behind")).toContain(`pid ${holder.pid}`);
  expect(told("scratch-left")).toContain(`drop schema if exists "${name}" cascade`);
  // Only the key tells the contrast's own session from another client's.
  expect(await backends(database.url)).not.toContain(other.pid);
  await other.end().catch(() => undefined);
}, 120_000);

test("Ctrl-C ends the runners, removes the schema and exits 130; no argument holds a secret", async () => {
  const database = await servers.postgres.createDatabase();
  const drill = start(SMALL, withUrl(database.url));
  await until(database.url, IS_ASLEEP);
  const [scratch] = await query(database.url, SCRATCHES);
  const processes = (): readonly string[] =>
    execFileSync("ps", ["-A", "-o", "args="], { encoding: "utf8" })
      .split("\n")
      .filter((line) => line.includes(String(scratch?.["nspname"])));
  const during = processes();
  drill.kill("SIGINT");
  const run = await drill.done;
  expect(run.status).toBe(130);
  expect(during.length).toBeGreaterThan(0);
  expect(during.join("\n")).not.toContain("postgres://");
  expect(run.stderr).not.toContain("postgres://");
  expect(processes()).toEqual([]);
  expect(eventOf(run, "drill.cleaned")).toBeDefined();
  expect(await query(database.url, SCRATCHES)).toEqual([]);
}, 60_000);

test("without the right to make a schema it names the GRANT, and uses the schema that is there", async () => {
  const database = await servers.postgres.createDatabase();
  const role = await servers.postgres.createRole({ attributes: "connection limit 9" });
  await query(database.url, `create schema own authorization ${role.user}`);
  await query(database.url, `revoke create on database ${database.name} from public`);
  const url = asRole(database.url, role);
  const refused = await headgate(SMALL, withUrl(url));
  expect(refused.status).toBe(7);
  expect(refused.stderr).toContain(
    `grant create on database \\"${database.name}\\" to \\"${role.user}\\"`,
  );
  expect(refused.stderr).toContain("--schema existing");

  const own = `${url}?options=${encodeURIComponent("-c search_path=own")}`;
  const run = await headgate([...SMALL, "--schema", "existing", "--json"], withUrl(own));
  expect(run.status).toBe(0);
  const report = reportOf(run);
  const { replicas, free_connections: free } = report;
  expect(report).toMatchObject({ verdict: "good", faults: [] });
  expect(free).toBeLessThanOrEqual(8);
  expect(replicas).toBe(Math.floor(free / 2));
  expect(eventOf(run, "drill.reduced")).toMatchObject({ replicas, asked: 6, free });
  expect(await tablesOf(database.url)).toEqual([]);
}, 120_000);

test("what a killed drill left is named by the next one; with too few connections none starts", async () => {
  const database = await servers.postgres.createDatabase();
  const role = await servers.postgres.createRole({ attributes: "connection limit 3" });
  await query(database.url, `grant create on database ${database.name} to ${role.user}`);
  const killed = start(SMALL, withUrl(database.url));
  await until(database.url, IS_ASLEEP);
  killed.kill("SIGKILL");
  const run = await headgate(SMALL, withUrl(asRole(database.url, role)));
  expect(run.status).toBe(7);
  expect(eventOf(run, "command.failed")?.["reason"]).toContain("2 connections are free");
  const [left] = await query(database.url, SCRATCHES);
  const remedy = String(eventOf(run, "drill.leftover")?.["remedy"]);
  expect(remedy).toBe(`drop schema if exists "${left?.["nspname"]}" cascade`);
  const [comment] = await query(
    database.url,
    `select obj_description('${left?.["nspname"]}'::regnamespace) as text`,
  );
  expect(comment?.["text"]).toContain("Scratch schema of a headgate drill");
  await killed.done;
  await query(database.url, remedy);
  expect(await query(database.url, SCRATCHES)).toEqual([]);
}, 120_000);

test("somebody has to survive", async () => {
  const run = await headgate(
    ["drill", "--replicas", "3", "--kill", "3"],
    withUrl("postgres://localhost:1/nowhere"),
  );
  expect(run.status).toBe(2);
  expect(run.stderr).toContain("--kill must be below --replicas");
});
