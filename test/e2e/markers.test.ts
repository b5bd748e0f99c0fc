/**
 * Every event of `core/events.ts` is provoked once: exact text, level and stream. An operator greps
 * for these; a changed one is a change of the interface.
 */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { EVENTS, type EventName } from "../../src/core/events.ts";
import { BUILD, builderPid, holdSnapshot, outsideFolder, untilBuilding } from "../support/build.ts";
import { migrationFolder } from "../support/folder.ts";
import { headgate, type Run, start, withUrl } from "../support/headgate.ts";
import { holdGate, holdOpen } from "../support/lock-holder.ts";
import { asRole, hold, query, until } from "../support/query.ts";
import { createScratchFolder } from "../support/scratch.ts";
import { type Template, templateAtHead } from "../support/seeds.ts";
import type { Database } from "../support/substrate.ts";
import { useServers } from "../support/use-servers.ts";

const dir = migrationFolder({
  "1_first.sql": "-- migrate:up\ncreate table first ();\n-- migrate:down\ndrop table first;\n",
});
const DEBUG = { HEADGATE_LOG_LEVEL: "debug", HEADGATE_DIR: dir };

const servers = useServers({ poolSize: 1 });

async function atHead(): Promise<Database> {
  const database = await servers.postgres.createDatabase();
  await headgate(["up"], withUrl(database.url, DEBUG));
  return database;
}

async function runHeld(lockWait: string): Promise<Run> {
  const database = await servers.postgres.createDatabase();
  const holder = await holdGate(database.url);
  const run = await headgate(["up", "--lock-wait", lockWait], withUrl(database.url, DEBUG));
  await holder.release();
  return run;
}

async function runSleeping(
  disturb: (database: Database) => Promise<unknown>,
  sleepS: number,
): Promise<Run> {
  const database = await servers.postgres.createDatabase();
  const slow = migrationFolder({ "1_slow.sql": `select pg_sleep(${sleepS})` });
  const runner = start(["up"], withUrl(database.url, { ...DEBUG, HEADGATE_DIR: slow }));
  await until(
    database.url,
    "select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'",
  );
  await disturb(database);
  return runner.done;
}

/** A session that does nothing has the lock of --lock-id; the last of these is another role's. */
async function runBesideIdle(...args: readonly string[]): Promise<Run> {
  const { url } = await servers.postgres.createDatabase();
  const held = await hold(url, "select pg_advisory_lock(1)");
  const isOther = args.includes("--reclaim-orphans") && args.includes("--lock-wait");
  const role = isOther ? await servers.postgres.createRole() : undefined;
  const own = role ? asRole(url, role) : url;
  const run = await headgate(["up", "--lock-id", "1", ...args], withUrl(own, DEBUG));
  await held.end();
  return run;
}

let template: Promise<Template> | undefined;

/** Seeds the gateway's own tables, once they are as `change` leaves them. */
async function runSeed(change: string, ...flags: readonly string[]): Promise<Run> {
  template ??= templateAtHead(servers.postgres);
  const { url } = await (await template).copy();
  if (change !== "") await query(url, change);
  return headgate(["seed", ...flags], withUrl(url, { HEADGATE_LOG_LEVEL: "debug" }));
}

/** System roles of a team, made by somebody else. */
function roles(...names: readonly string[]): string {
  const rows = names.map(
    (name, at) => `('${at}', '${name}', 'team', '[]', 'bob@example.com', true)`,
  );
  return `insert into email_users (id, email, password_hash) values ('1', 'bob@example.com', '!');
insert into roles (id, name, scope, permissions, created_by, is_system_role) values ${rows.join(", ")}`;
}

const BUILD_UP = ["up", "--dir", outsideFolder(BUILD)];

/** A runner finds the row of one that is gone, and the index as `change` leaves it. */
async function runOnLeft(change: string): Promise<Run> {
  const { url } = await servers.postgres.createDatabase();
  await headgate(BUILD_UP, withUrl(url, DEBUG));
  await query(url, "update headgate_migrations set state = 'running' where version = 2");
  await query(url, "update headgate_migrations set statements_done = 0 where version = 2");
  await query(url, change);
  return headgate(BUILD_UP, withUrl(url, DEBUG));
}

/** A build behind somebody who has the table and keeps it for as long as the runner is patient. */
async function runQueueing(): Promise<Run> {
  const { url } = await servers.postgres.createDatabase();
  await headgate([...BUILD_UP, "--to", "1"], withUrl(url, DEBUG));
  const holder = await holdOpen(url, "lock table t in share mode");
  const brief = ["--lock-timeout", "300ms", "--lock-wait", "300ms"];
  const run = await headgate([...BUILD_UP, ...brief], withUrl(url, DEBUG));
  await holder.release();
  return run;
}

/** A scratch schema of before, fewer connections than asked for, a kill, and an orphan of the pool of one. */
async function runDrill(): Promise<Run> {
  const database = await servers.postgres.createDatabase();
  await query(
    database.url,
    `create schema headgate_drill_0123456789ab; alter database ${database.name} connection limit 8`,
  );
  const pooled = servers.pool.urlOf(database);
  return headgate(["drill", "--kill", "1", "--contrast"], withUrl(pooled));
}

let drill: Promise<Run> | undefined;

function onDrill(): Promise<Run> {
  drill ??= runDrill();
  return drill;
}

const onFresh = async (...args: readonly string[]): Promise<Run> =>
  headgate(args, withUrl((await servers.postgres.createDatabase()).url, DEBUG));
const onHead = async (...args: readonly string[]): Promise<Run> =>
  headgate(args, withUrl((await atHead()).url, DEBUG));

const table: Readonly<Record<EventName, () => Promise<Run>>> = {
  "database.ready": () => onHead("up"),
  "schema.at-head": () => onHead("up"),
  "schema.awaited": () => onFresh("wait", "--deadline", "300ms"),
  "migrations.verified": () => onHead("up", "--skip-migrations", "verify"),
  "migrations.yielded": () => headgate(["up", "--skip-migrations", "yield"]),
  "peek.failed": async () => {
    const { url } = await servers.postgres.createDatabase();
    await query(url, "create table headgate_migrations (nothing int)");
    return headgate(["up"], withUrl(url, DEBUG));
  },
  "gate.acquired": () => onFresh("up"),
  "gate.waiting": () => runHeld("300ms"),
  "ledger.created": () => onFresh("up"),
  "migration.started": () => onFresh("up"),
  "migration.running": () => runSleeping(async () => undefined, 10.5),
  "migration.applied": () => onFresh("up"),
  "migration.reverted": () => onHead("down"),
  "row.resolved": async () => {
    const { url } = await atHead();
    await query(url, "update headgate_migrations set state = 'failed' where version = 1");
    return headgate(["resolve", "1", "--applied"], withUrl(url, DEBUG));
  },
  "drill.started": onDrill,
  "drill.reduced": onDrill,
  "drill.leftover": onDrill,
  "drill.killed": onDrill,
  "drill.orphaned": onDrill,
  "drill.freed": onDrill,
  "drill.cleaned": onDrill,
  "drill.left": async () => {
    const { url } = await servers.postgres.createDatabase();
    const runner = start(["drill", "--replicas", "2", "--kill", "0"], withUrl(url));
    await until(url, "select from pg_class where relname = 'audit'");
    const [row] = await query(
      url,
      "select nspname from pg_namespace where nspname like 'headgate_drill_%'",
    );
    const holder = await holdOpen(url, `lock table ${row?.["nspname"]}.audit in access share mode`);
    runner.kill("SIGTERM");
    const run = await runner.done;
    await holder.release();
    return run;
  },
  "lock.released": async () => {
    const { url } = await servers.postgres.createDatabase();
    const held = await hold(url, "select pg_advisory_lock(1)");
    const run = await headgate(
      ["locks", "release", String(held.pid), "--yes", "--sample", "300ms"],
      withUrl(url, DEBUG),
    );
    await held.end();
    return run;
  },
  "orphan.suspected": () => runBesideIdle("--lock-wait", "300ms"),
  "orphan.reclaimed": () => runBesideIdle("--reclaim-orphans", "1ms"),
  "orphan.spared": () => runBesideIdle("--reclaim-orphans", "1ms", "--lock-wait", "300ms"),
  "seed.written": () => runSeed(""),
  "seed.file-ran": () => onFresh("up", "--seeds", migrationFolder({ "a.sql": "select 1" })),
  "seed.skipped": () => onFresh("up"),
  "seed.failed": () => onFresh("up", "--seed", "rbac", "--seed-failure", "warn"),
  "seed.conflict": () =>
    runSeed(
      "insert into servers (id, name) values ('1', 'x'); alter table servers add check (owner_email is null)",
      "--assign-orphans",
    ),
  "seed.duplicate": () =>
    runSeed(
      `drop index uq_roles_name_scope_active; ${roles("viewer", "viewer")}`,
      "--without-constraints",
    ),
  "seed.role-vanished": () => runSeed(roles("old")),
  "seed.unconstrained": () =>
    runSeed("drop index uq_roles_name_scope_active", "--without-constraints"),
  "admin.password-kept": () =>
    runSeed("", "--generated-password-file", join(createScratchFolder("password"), "password")),
  "admin.disabled": () => runSeed(""),
  "build.leased": async () => {
    const database = await servers.postgres.createDatabase();
    const pooled = servers.pool.urlOf(database);
    return headgate(BUILD_UP, withUrl(pooled, DEBUG));
  },
  "build.taken-over": () => runOnLeft("drop index if exists t_c"),
  "build.superseded": async () => {
    const { url } = await servers.postgres.createDatabase();
    const dir = outsideFolder("select pg_sleep(1);");
    const runner = start(["up", "--dir", dir], withUrl(url, DEBUG));
    await until(url, "select from pg_stat_activity where wait_event = 'PgSleep'");
    await query(url, "update headgate_migrations set state = 'applied', run_id = null");
    return runner.done;
  },
  "build.waiting": () => runQueueing(),
  "build.retried": () => runQueueing(),
  "build.cancelled": async () => {
    const { url } = await servers.postgres.createDatabase();
    const holder = await holdSnapshot(url);
    const victim = start(BUILD_UP, withUrl(url, DEBUG));
    await untilBuilding(url);
    victim.kill("SIGKILL");
    const pid = await builderPid(url);
    const runner = start([...BUILD_UP, "--cancel-orphaned-build"], withUrl(url, DEBUG));
    await untilBuilding(url, `pid <> ${pid}`);
    await holder.release();
    return runner.done;
  },
  "index.adopted": () => runOnLeft("select 1"),
  "index.dropped": () =>
    runOnLeft("update pg_index set indisvalid = false where indexrelid = 't_c'::regclass"),
  "step.retried": async () => {
    const { url } = await atHead();
    const more = migrationFolder({
      "1_first.sql": "-- migrate:up\ncreate table first ();\n-- migrate:down\ndrop table first;\n",
      "2_more.sql":
        "-- migrate:up lock_timeout:100ms\nlock table first in access exclusive mode;\n",
    });
    const holder = await holdOpen(url, "lock table first in access share mode");
    const run = await headgate(
      ["up", "--lock-wait", "3s"],
      withUrl(url, { ...DEBUG, HEADGATE_DIR: more }),
    );
    await holder.release();
    return run;
  },
  "connection.chosen": () => onHead("probe"),
  "connection.lost": () =>
    runSleeping(
      ({ url }) =>
        query(
          url,
          "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'",
        ),
      1,
    ),
  "settings.ignored": async () => {
    const { url } = await atHead();
    return headgate(["up"], withUrl(`${url}?pgbouncer=true`, DEBUG));
  },
  "command.failed": () => headgate(["up"]),
  "termination.unlogged": () => headgate(["up", "--termination-log", "/nowhere/log"]),
  "probe.not-ready": () => onFresh("probe"),
  "server.notice": async () => {
    const noisy = migrationFolder({ "1_noisy.sql": "do $$ begin raise notice 'hello'; end $$;" });
    const { url } = await servers.postgres.createDatabase();
    return headgate(["up"], withUrl(url, { ...DEBUG, HEADGATE_DIR: noisy }));
  },
};

test.each(Object.entries(table) as [EventName, () => Promise<Run>][])(
  "%s",
  async (name, provoke) => {
    const run = await provoke();
    const seen = run.events.find(({ event }) => event === name);
    expect(seen).toMatchObject({
      event: name,
      level: EVENTS[name].level,
      msg: EVENTS[name].message,
    });
    expect(seen?.["ts"]).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    expect(run.stdout).not.toContain(`"event":"${name}"`);
  },
  60_000,
);

test("each path ends with one Database ready and says which path it was", async () => {
  const database = await servers.postgres.createDatabase();
  const paths: unknown[] = [];
  for (const args of [["up"], ["up"], ["up", "--skip-migrations", "true"]]) {
    const run = await headgate(args, withUrl(database.url, DEBUG));
    const ready = run.events.filter(({ event }) => event === "database.ready");
    expect(ready).toHaveLength(1);
    paths.push(ready[0]?.["path"]);
  }
  expect(paths).toEqual(["slow", "fast", "skipped"]);
});
