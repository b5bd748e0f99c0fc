/**
 * Every event of `core/events.ts` is provoked once: exact text, level and stream. An operator greps
 * for these; a changed one is a change of the interface.
 */
import { expect, test } from "bun:test";
import { EVENTS, type EventName } from "../../src/core/events.ts";
import { migrationFolder } from "../support/folder.ts";
import { headgate, type Run, start, withUrl } from "../support/headgate.ts";
import { holdGate, holdOpen } from "../support/lock-holder.ts";
import { hold, query, until } from "../support/query.ts";
import type { Database } from "../support/substrate.ts";
import { useServers } from "../support/use-servers.ts";

const dir = migrationFolder({
  "1_first.sql": "-- migrate:up\ncreate table first ();\n-- migrate:down\ndrop table first;\n",
});
const DEBUG = { HEADGATE_LOG_LEVEL: "debug", HEADGATE_DIR: dir };

const servers = useServers();

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

const onFresh = async (...args: readonly string[]): Promise<Run> =>
  headgate(args, withUrl((await servers.postgres.createDatabase()).url, DEBUG));
const onHead = async (...args: readonly string[]): Promise<Run> =>
  headgate(args, withUrl((await atHead()).url, DEBUG));

const table: Readonly<Record<EventName, () => Promise<Run>>> = {
  "database.ready": () => onHead("up"),
  "schema.at-head": () => onHead("up"),
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
  "step.retried": async () => {
    const { url } = await atHead();
    const more = migrationFolder({
      "1_first.sql": "-- migrate:up\ncreate table first ();\n-- migrate:down\ndrop table first;\n",
      "2_more.sql":
        "-- migrate:up lock_timeout:100ms\nlock table first in access exclusive mode;\n",
    });
    const holder = await holdOpen(url, "lock table first in access share mode");
    const run = await headgate(
      ["up", "--lock-wait", "500ms"],
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
