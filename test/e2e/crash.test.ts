/** Runners, connections and servers that die in the middle. Whatever happens, the next `up` converges. */
import { expect, test } from "bun:test";
import { openCuttingRelay } from "../support/cutting-relay.ts";
import { migrationFolder } from "../support/folder.ts";
import { eventOf, headgate, start, withUrl } from "../support/headgate.ts";
import { buildMutant } from "../support/mutant.ts";
import { query, tablesOf, until } from "../support/query.ts";
import { aftermath, race, witnessMigrations } from "../support/race.ts";
import type { Database } from "../support/substrate.ts";
import { useServers } from "../support/use-servers.ts";

/** The second one is still asleep when its runner dies, and has written before it slept. */
const slow = migrationFolder({
  ...witnessMigrations(1),
  "0002_slow.sql":
    "create table half_done ();\nselect pg_sleep(1.5);\ninsert into witness values (2, pg_backend_pid());\n",
});
const SLOW = ["up", "--dir", slow];
const IS_ASLEEP =
  "select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'";
/** The bound of a killed runner whose statement runs: the server looks every 2 s. */
const RELEASE_CEILING_MS = 4000;

const servers = useServers({ poolSize: 2 });

function urlOf(database: Database, isPooled: boolean): string {
  return isPooled ? servers.pool.urlOf(database) : database.url;
}

async function expectConverged(database: Database, url: string): Promise<void> {
  const again = await headgate(SLOW, withUrl(url));
  expect(again.status).toBe(0);
  expect(await aftermath(database.url)).toEqual({
    applied: [1, 2],
    advisoryLocks: 0,
    idleInTransaction: 0,
  });
}

test.each([
  ["direct", false],
  ["through a pool of 2", true],
] as const)(
  "a runner killed in the middle of a migration leaves nothing of it (%s)",
  async (_how, isPooled) => {
    const database = await servers.postgres.createDatabase();
    const url = urlOf(database, isPooled);
    const victim = start(SLOW, withUrl(url));
    await until(database.url, IS_ASLEEP);
    victim.kill("SIGKILL");
    const killedMs = performance.now();
    await expectConverged(database, url);
    expect(performance.now() - killedMs).toBeLessThan(RELEASE_CEILING_MS + 1500 + 2000);
  },
  60_000,
);

test("a backend that is terminated in the middle is replaced, and the migration runs once", async () => {
  const database = await servers.postgres.createDatabase();
  const runner = start(SLOW, withUrl(database.url));
  await until(database.url, IS_ASLEEP);
  await query(
    database.url,
    "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'",
  );
  const run = await runner.done;
  expect(run.status).toBe(0);
  expect(eventOf(run, "connection.lost")).toBeDefined();
  await expectConverged(database, database.url);
}, 60_000);

test("a server that restarts in the middle is waited for", async () => {
  const database = await servers.postgres.createDatabase();
  const runner = start(SLOW, withUrl(database.url));
  await until(database.url, IS_ASLEEP);
  await servers.postgres.restart("immediate");
  expect((await runner.done).status).toBe(0);
  await expectConverged(database, database.url);
}, 60_000);

test("a COMMIT whose answer is lost is found in the ledger by its run", async () => {
  const database = await servers.postgres.createDatabase();
  const relay = await openCuttingRelay(servers.postgres, "commit\0");
  const url = new URL(database.url);
  url.host = `${relay.host}:${relay.port}`;
  const run = await headgate(
    ["up", "--dir", slow, "--json"],
    withUrl(`${url.href}?sslmode=disable`),
  );
  await relay.close();
  expect(relay.hasCut()).toBe(true);
  expect(run.status).toBe(0);
  const { applied } = JSON.parse(run.stdout) as { applied: { version: number }[] };
  expect(applied.map(({ version }) => version)).toEqual([1, 2]);
  expect((await aftermath(database.url)).applied).toEqual([1, 2]);
}, 60_000);

test("a COMMIT of down whose answer is lost is asked of the server, and reported", async () => {
  const database = await servers.postgres.createDatabase();
  const dir = migrationFolder({
    "1_a.sql": "-- migrate:up\ncreate table a ();\n-- migrate:down\ndrop table a;\n",
    "2_b.sql": "-- migrate:up\ncreate table b ();\n-- migrate:down\ndrop table b;\n",
  });
  expect((await headgate(["up", "--dir", dir], withUrl(database.url))).status).toBe(0);
  const relay = await openCuttingRelay(servers.postgres, "commit\0");
  const url = new URL(database.url);
  url.host = `${relay.host}:${relay.port}`;
  const down = ["down", "--dir", dir, "--json"];
  const run = await headgate(down, withUrl(`${url.href}?sslmode=disable`));
  await relay.close();
  expect([relay.hasCut(), run.status]).toEqual([true, 0]);
  expect(JSON.parse(run.stdout)).toMatchObject({ reverted: [{ version: 2 }], at: 1 });
  expect(run.events.filter(({ event }) => event === "migration.reverted")).toHaveLength(1);
  expect(await tablesOf(database.url)).toEqual(["public.a", "public.headgate_migrations"]);
}, 60_000);

test("a transaction that was rolled back behind our back is not taken for committed", async () => {
  const database = await servers.postgres.createDatabase();
  const swallowed = migrationFolder({
    "0001_swallowed.sql": "create table swallowed ();\n",
  });
  const mutant = await buildMutant({
    file: "db/gate.ts",
    find: 'run("commit")',
    replace: 'run("rollback")',
  });
  const run = await headgate(["up", "--dir", swallowed], {
    ...withUrl(database.url),
    binary: mutant.binary,
  });
  mutant.remove();
  expect(run.status).not.toBe(0);
  expect(run.stdout).not.toContain("Applied");
  expect(await tablesOf(database.url)).toEqual([]);
}, 60_000);

test("without any lock, the ledger's primary key still lets each migration in once", async () => {
  const fence = migrationFolder({
    "0001_witness.sql":
      "create table if not exists witness (version int, backend int, at timestamptz default clock_timestamp());\n",
    "0002_row.sql": "select pg_sleep(0.3);\ninsert into witness values (2, pg_backend_pid());\n",
  });
  const database = await servers.postgres.createDatabase();
  expect((await headgate(["up", "--dir", fence, "--to", "1"], withUrl(database.url))).status).toBe(
    0,
  );
  const mutant = await buildMutant(
    {
      file: "db/gate.ts",
      find: "const own = `pg_try_advisory_xact_lock(",
      replace: "const own = `true or pg_try_advisory_xact_lock(",
    },
    { file: "db/gate.ts", find: "in share row exclusive mode`", replace: "in access share mode`" },
  );
  const { runs } = await race(6, ["up", "--dir", fence], {
    ...withUrl(database.url),
    binary: mutant.binary,
  });
  mutant.remove();
  expect(runs.some(({ events }) => events.some(({ event }) => event === "migration.started"))).toBe(
    true,
  );
  expect((await aftermath(database.url)).applied).toEqual([2]);
}, 60_000);
