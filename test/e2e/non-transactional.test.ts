/** Migrations outside a transaction: built once, whoever is there, whoever dies. */
import { describe, expect, test } from "bun:test";
import {
  BUILD,
  builderPid,
  holdSnapshot,
  indexState,
  outsideFolder,
  rowOf,
  runLockQuery,
  untilBuilding,
  WITNESSED,
  witnesses,
} from "../support/build.ts";
import { migrationFolder } from "../support/folder.ts";
import { eventOf, headgate, type Run, start, withUrl } from "../support/headgate.ts";
import { asRole, hold, query, until } from "../support/query.ts";
import { appliers, race } from "../support/race.ts";
import type { Database, Pgbouncer } from "../support/substrate.ts";
import { useServers } from "../support/use-servers.ts";

const servers = useServers({ poolSize: 2 });
const WITNESSED_UP = ["up", "--dir", outsideFolder(WITNESSED)];
/** Time for the others to do harm, if they would. */
const RECOVERY_MS = 3000;
const BUILD_UP = ["up", "--dir", outsideFolder(BUILD)];

let single: Pgbouncer | undefined;
async function poolOfOne(database: Database): Promise<string> {
  single ??= await servers.substrate.pgbouncer(servers.postgres, { poolSize: 1 });
  return single.urlOf(database);
}

const WAYS: Readonly<Record<string, (database: Database) => Promise<string>>> = {
  direct: async ({ url }) => url,
  "through a pool of 2": async (database) => servers.pool.urlOf(database),
  "through a pool of 1": poolOfOne,
};
const ways = Object.entries(WAYS);

describe("an index is built concurrently", () => {
  test.each(ways)(
    "by one runner, %s",
    async (how, urlOf) => {
      const database = await servers.postgres.createDatabase();
      const run = await headgate(WITNESSED_UP, withUrl(await urlOf(database)));
      expect(run.stderr).not.toContain("command.failed");
      expect(run.status).toBe(0);
      expect(await indexState(database.url)).toBe("valid");
      expect(await rowOf(database.url)).toMatchObject({ state: "applied", statements_done: 2 });
      expect(eventOf(run, "build.leased") !== undefined).toBe(how !== "direct");
      const probe = await headgate(["probe", ...WITNESSED_UP.slice(1)], withUrl(database.url));
      expect(probe.status).toBe(0);
    },
    60_000,
  );

  test.each(ways)(
    "once by six runners that start together, %s",
    async (_how, urlOf) => {
      const database = await servers.postgres.createDatabase();
      const { runs } = await race(6, WITNESSED_UP, withUrl(await urlOf(database)));
      expect(runs.map(({ status }) => status)).toEqual([0, 0, 0, 0, 0, 0]);
      expect([...appliers(runs).values()]).toEqual([1, 1]);
      expect(await witnesses(database.url)).toBe(1);
      expect(await indexState(database.url)).toBe("valid");
      expect(await query(database.url, runLockQuery())).toEqual([]);
    },
    120_000,
  );
});

describe("while an index is built", () => {
  test("a third client of a pool of 2 is served, and the probe answers", async () => {
    const database = await servers.postgres.createDatabase();
    const url = servers.pool.urlOf(database);
    const holder = await holdSnapshot(database.url);
    const runner = start(BUILD_UP, withUrl(url));
    await untilBuilding(database.url);
    expect(await query(url, "select 1 as one")).toEqual([{ one: 1 }] as never);
    const probe = await headgate(["probe", ...BUILD_UP.slice(1)], withUrl(url));
    expect(probe.status).toBe(1);
    expect(probe.stderr).toContain("running");
    await holder.release();
    expect((await runner.done).status).toBe(0);
  }, 60_000);

  test("a second runner waits, shows the progress, and finds head", async () => {
    const database = await servers.postgres.createDatabase();
    const holder = await holdSnapshot(database.url);
    const first = start(WITNESSED_UP, withUrl(database.url));
    await untilBuilding(database.url);
    const second = await headgate([...WITNESSED_UP, "--lock-wait", "1s"], withUrl(database.url));
    expect(second.status).toBe(6);
    expect(eventOf(second, "command.failed")?.["reason"]).toContain("waiting for old snapshots");
    const third = start(WITNESSED_UP, withUrl(database.url));
    await Bun.sleep(300);
    await holder.release();
    expect((await third.done).status).toBe(0);
    expect((await first.done).status).toBe(0);
    expect(await witnesses(database.url)).toBe(1);
  }, 60_000);

  test("--lock-id is held for as long as the build lasts", async () => {
    const database = await servers.postgres.createDatabase();
    const holder = await holdSnapshot(database.url);
    const runner = start([...BUILD_UP, "--lock-id", "4242"], withUrl(database.url));
    await untilBuilding(database.url);
    const [row] = await query(database.url, "select pg_try_advisory_lock(4242) as got");
    expect(row?.["got"]).toBe(false);
    await holder.release();
    expect((await runner.done).status).toBe(0);
  }, 60_000);

  test("--lock-id without a place for a second connection is refused", async () => {
    const database = await servers.postgres.createDatabase();
    const url = servers.pool.urlOf(database);
    const run = await headgate([...BUILD_UP, "--lock-id", "4242"], withUrl(url));
    expect(run.status).toBe(2);
    expect(run.stderr).toContain("Cannot hold the lock of --lock-id");
    expect(await rowOf(database.url)).toBeUndefined();
  }, 60_000);
});

describe("after a runner is killed in the middle of a build", () => {
  test.each(ways.slice(0, 2))(
    "the next one waits for the orphaned build and takes its index, %s",
    async (_how, urlOf) => {
      const database = await servers.postgres.createDatabase();
      const url = await urlOf(database);
      const holder = await holdSnapshot(database.url);
      const victim = start(WITNESSED_UP, withUrl(url));
      await untilBuilding(database.url);
      victim.kill("SIGKILL");
      await victim.done;
      // A lease outlives its runner by up to a minute: here it is over at once.
      await query(database.url, "update headgate_migrations set lease_until = null");
      const next = start(WITNESSED_UP, withUrl(url));
      await Bun.sleep(1500);
      expect((await rowOf(database.url))?.["state"]).toBe("running");
      await holder.release();
      const run = await next.done;
      expect(run.status).toBe(0);
      expect(eventOf(run, "build.taken-over")).toBeDefined();
      expect(await indexState(database.url)).toBe("valid");
      expect(await witnesses(database.url)).toBe(1);
    },
    90_000,
  );

  test("--cancel-orphaned-build ends the orphan and builds anew", async () => {
    const database = await servers.postgres.createDatabase();
    const holder = await holdSnapshot(database.url);
    const victim = start(BUILD_UP, withUrl(database.url));
    await untilBuilding(database.url);
    victim.kill("SIGKILL");
    await victim.done;
    const orphan = await builderPid(database.url);
    const next = start([...BUILD_UP, "--cancel-orphaned-build"], withUrl(database.url));
    await untilBuilding(database.url, `pid <> ${orphan}`);
    await holder.release();
    const run = await next.done;
    expect(run.status).toBe(0);
    expect(eventOf(run, "build.cancelled")?.["pid"]).toBe(orphan);
    expect(eventOf(run, "index.dropped")?.["index"]).toBe("t_c");
    expect(await indexState(database.url)).toBe("valid");
  }, 90_000);

  test("three that recover at once end the orphan, and never each other's build", async () => {
    const database = await servers.postgres.createDatabase();
    const holder = await holdSnapshot(database.url);
    const victim = start(WITNESSED_UP, withUrl(database.url));
    await untilBuilding(database.url);
    victim.kill("SIGKILL");
    await victim.done;
    const orphan = await builderPid(database.url);
    const recovering = [1, 2, 3].map(() =>
      start([...WITNESSED_UP, "--cancel-orphaned-build"], withUrl(database.url)),
    );
    await untilBuilding(database.url, `pid <> ${orphan}`);
    const builder = await builderPid(database.url);
    await Bun.sleep(RECOVERY_MS);
    expect(await builderPid(database.url)).toBe(builder);
    await holder.release();
    const runs = await Promise.all(recovering.map(({ done }) => done));
    expect(runs.map(({ status }) => status)).toEqual([0, 0, 0]);
    const cancelled = runs.flatMap(({ events }) =>
      events.filter(({ event }) => event === "build.cancelled").map((event) => event["pid"]),
    );
    expect([...new Set(cancelled)]).toEqual([orphan]);
    expect(appliers(runs).get(2)).toBe(1);
    expect([await indexState(database.url), await witnesses(database.url)]).toEqual(["valid", 1]);
  }, 90_000);

  test("--cancel-orphaned-build spares the living build of another ledger", async () => {
    const { url } = await servers.postgres.createDatabase();
    const holder = await holdSnapshot(url);
    const first = start(BUILD_UP, withUrl(url));
    await untilBuilding(url);
    const dir = migrationFolder({ "1_same.sql": `-- migrate:up transaction:false\n${BUILD}\n` });
    const args = ["up", "--dir", dir, "--ledger", "other", "--cancel-orphaned-build"];
    const second = start(args, withUrl(url));
    await until(url, "select from pg_class where relname = 'other'", 30_000);
    await Bun.sleep(RECOVERY_MS);
    await holder.release();
    expect((await first.done).status).toBe(0);
    const run = await second.done;
    expect([run.status, eventOf(run, "build.cancelled")]).toEqual([0, undefined]);
    expect(eventOf(run, "index.adopted")).toBeDefined();
  }, 90_000);

  test("what cannot be repeated safely is left to a person, with exit 4", async () => {
    const database = await servers.postgres.createDatabase();
    const dir = outsideFolder(
      "insert into witness values (2, 0);\nselect pg_sleep(2);\ninsert into witness values (2, 1);",
    );
    const victim = start(["up", "--dir", dir], withUrl(database.url));
    await until(database.url, "select from pg_stat_activity where wait_event = 'PgSleep'");
    victim.kill("SIGKILL");
    await victim.done;
    const next = await headgate(["up", "--dir", dir], withUrl(database.url));
    expect(next.status).toBe(4);
    expect(eventOf(next, "command.failed")?.["reason"]).toContain("1 of its statements are done");
    const status = await headgate(["status", "--dir", dir, "--exit-code"], withUrl(database.url));
    expect(status.status).toBe(4);
    expect(status.stdout).toContain("interrupted");
    expect(await witnesses(database.url)).toBe(1);
  }, 60_000);
});

test("a build whose connection is ended is done again by the same runner", async () => {
  const database = await servers.postgres.createDatabase();
  const holder = await holdSnapshot(database.url);
  const runner = start(WITNESSED_UP, withUrl(database.url));
  await untilBuilding(database.url);
  const first = await builderPid(database.url);
  await query(database.url, `select pg_terminate_backend(${first})`);
  await untilBuilding(database.url, `pid <> ${first}`);
  await holder.release();
  const run = await runner.done;
  expect(run.status).toBe(0);
  expect(eventOf(run, "index.dropped")).toBeDefined();
  expect(await indexState(database.url)).toBe("valid");
  expect(await witnesses(database.url)).toBe(1);
}, 90_000);

test("a runner that loses its sign of life stops working, and comes back", async () => {
  const database = await servers.postgres.createDatabase();
  const holder = await holdSnapshot(database.url);
  const runner = start(WITNESSED_UP, withUrl(database.url));
  await untilBuilding(database.url);
  const [lock] = await query(database.url, runLockQuery());
  const [ended] = await query(
    database.url,
    `select clock_timestamp()::text as at, pg_terminate_backend(${lock?.["pid"]})`,
  );
  // The runner is back, and waits for what its first connection left; looks at it come and go.
  await until(
    database.url,
    `select from pg_stat_activity where datname = current_database()
and application_name = 'headgate' and backend_start > '${ended?.["at"]}'
and backend_start < clock_timestamp() - interval '2s'`,
    40_000,
  );
  await holder.release();
  const run = await runner.done;
  expect(run.status).toBe(0);
  expect(eventOf(run, "connection.lost")?.["reason"]).toContain("shows we live");
  expect(await indexState(database.url)).toBe("valid");
  expect(await witnesses(database.url)).toBe(1);
}, 90_000);

test("an invalid index that nobody builds is dropped and built again", async () => {
  const database = await servers.postgres.createDatabase();
  expect((await headgate([...BUILD_UP, "--to", "1"], withUrl(database.url))).status).toBe(0);
  await query(database.url, "insert into t values (1), (1)");
  await query(database.url, "create unique index concurrently t_c on t (c)").catch(() => []);
  expect(await indexState(database.url)).toBe("invalid");
  const unique = outsideFolder("create unique index concurrently t_c on t (c);");
  const failed = await headgate(["up", "--dir", unique], withUrl(database.url));
  expect(failed.status).toBe(4);
  expect(eventOf(failed, "index.dropped")?.["index"]).toBe("t_c");
  expect(await rowOf(database.url)).toMatchObject({
    state: "failed",
    error: expect.stringContaining("SQLSTATE 23505"),
  });
  const status = await headgate(["status", "--dir", unique], withUrl(database.url));
  expect(status.stdout).toContain("interrupted");
  expect((await headgate(["up", "--dir", unique], withUrl(database.url))).status).toBe(4);
  await query(
    database.url,
    "delete from t where ctid in (select max(ctid) from t where c = 1 union select ctid from t where c = 1 order by 1 desc limit 2)",
  );
  await query(database.url, "delete from headgate_migrations where version = 2");
  expect((await headgate(["up", "--dir", unique], withUrl(database.url))).status).toBe(0);
  expect(await indexState(database.url)).toBe("valid");
}, 60_000);

test("a runner whose row is another's by the end says nothing in the ledger", async () => {
  const database = await servers.postgres.createDatabase();
  const dir = outsideFolder("select pg_sleep(1.5);");
  const runner = start(["up", "--dir", dir], withUrl(database.url));
  await until(database.url, "select from pg_stat_activity where wait_event = 'PgSleep'");
  await query(
    database.url,
    "update headgate_migrations set state = 'applied', run_id = '00000000-0000-4000-8000-000000000009' where version = 2",
  );
  const run = await runner.done;
  expect(run.status).toBe(0);
  expect(eventOf(run, "build.superseded")).toBeDefined();
  expect(appliers([run]).get(2)).toBeUndefined();
  expect((await rowOf(database.url))?.["run_id"]).toBe("00000000-0000-4000-8000-000000000009");
}, 60_000);

test("timeouts of the role are refused before anything changes, unless they are accepted", async () => {
  const database = await servers.postgres.createDatabase();
  const role = await servers.postgres.createRole({ password: "geheim" });
  await query(database.url, `grant all on schema public to ${role.user}`);
  const url = asRole(database.url, role);
  expect((await headgate([...BUILD_UP, "--to", "1"], withUrl(url))).status).toBe(0);
  for (const name of ["lock_timeout", "idle_session_timeout", "statement_timeout"]) {
    await query(
      database.url,
      `alter role ${role.user} reset all; alter role ${role.user} set ${name} = '5s'`,
    );
    const run = await headgate(BUILD_UP, withUrl(url));
    expect(run.status).toBe(4);
    const failed = eventOf(run, "command.failed");
    expect(failed?.["reason"]).toContain(`${name} is 5s for role ${role.user} (source: user)`);
    expect(failed?.["hint"]).toContain("accept-timeouts:true");
  }
  expect(await rowOf(database.url)).toBeUndefined();
  expect(await indexState(database.url)).toBe("none");
  const accepting = outsideFolder(BUILD, "accept-timeouts:true");
  expect((await headgate(["up", "--dir", accepting], withUrl(url))).status).toBe(0);
}, 60_000);

test("other statements that may be repeated run, and are finished by the next runner", async () => {
  const database = await servers.postgres.createDatabase();
  const dir = outsideFolder(
    `${BUILD}\nreindex index concurrently t_c;\nalter table t validate constraint positive;\ndrop index concurrently t_c;\nvacuum t;`,
  );
  expect((await headgate(["up", "--dir", dir, "--to", "1"], withUrl(database.url))).status).toBe(0);
  await query(database.url, "alter table t add constraint positive check (c > 0) not valid");
  const holder = await holdSnapshot(database.url);
  const victim = start(["up", "--dir", dir], withUrl(database.url));
  await untilBuilding(database.url);
  victim.kill("SIGKILL");
  await victim.done;
  await holder.release();
  const run = await headgate(["up", "--dir", dir], withUrl(database.url));
  expect(run.stderr).not.toContain("command.failed");
  expect(run.status).toBe(0);
  expect(await indexState(database.url)).toBe("none");
  expect(await rowOf(database.url)).toMatchObject({ state: "applied", statements_done: 5 });
}, 60_000);

describe("a statement that may be repeated is finished by the next runner", () => {
  /** Kills a runner in the middle of `statement`, lets `settle` happen, and runs another. */
  async function rerun(
    statement: string,
    holding: string,
    settle: (url: string, orphan: number) => Promise<unknown>,
  ): Promise<{ readonly url: string; readonly run: Run }> {
    const { url } = await servers.postgres.createDatabase();
    const dir = outsideFolder(statement);
    expect((await headgate(["up", "--dir", dir, "--to", "1"], withUrl(url))).status).toBe(0);
    await query(url, "create index t_c on t (c)");
    const held = await hold(url, `begin isolation level repeatable read; ${holding}`);
    const victim = start(["up", "--dir", dir], withUrl(url));
    const orphan = `select pid from pg_stat_activity where datname = current_database()
and wait_event_type = 'Lock' and query like '%${statement}'`;
    await until(url, orphan);
    victim.kill("SIGKILL");
    await victim.done;
    const [row] = await query(url, orphan);
    await settle(url, Number(row?.["pid"]));
    await held.end();
    return { url, run: await headgate(["up", "--dir", dir], withUrl(url)) };
  }

  test("REINDEX that left its remains", async () => {
    const sql = "reindex index concurrently t_c;";
    const { url, run } = await rerun(sql, "select count(*) from pg_class", async (at, orphan) => {
      await query(at, `select pg_terminate_backend(${orphan})`);
      await until(
        at,
        `select 1 where not exists (select from pg_stat_activity where pid = ${orphan})`,
      );
      expect(await indexState(at, "t_c_ccnew")).toBe("invalid");
    });
    expect(run.status).toBe(0);
    expect(eventOf(run, "index.dropped")?.["index"]).toBe("t_c_ccnew");
    expect(await indexState(url, "t_c_ccnew")).toBe("none");
    expect(await indexState(url)).toBe("valid");
  }, 60_000);

  test("DROP INDEX that its orphan has finished", async () => {
    const sql = "drop index concurrently t_c;";
    const { url, run } = await rerun(sql, "select count(*) from t", async () => undefined);
    expect(run.stderr).not.toContain("command.failed");
    expect(run.status).toBe(0);
    expect(await indexState(url)).toBe("none");
  }, 60_000);

  test("VALIDATE CONSTRAINT that never began", async () => {
    const { url } = await servers.postgres.createDatabase();
    const dir = outsideFolder("alter table t validate constraint positive;");
    expect((await headgate(["up", "--dir", dir, "--to", "1"], withUrl(url))).status).toBe(0);
    await query(url, "alter table t add constraint positive check (c > 0) not valid");
    expect((await headgate(["up", "--dir", dir], withUrl(url))).status).toBe(0);
    await query(
      url,
      "update headgate_migrations set state = 'running', statements_done = 0 where version = 2",
    );
    expect((await headgate(["up", "--dir", dir], withUrl(url))).status).toBe(0);
    expect(await rowOf(url)).toMatchObject({ state: "applied", statements_done: 1 });
  }, 60_000);
});

describe("a valid index of that name", () => {
  const table: readonly [what: string, sql: string, status: number][] = [
    ["as the statement makes it is taken as it is", "create index t_c on t (c)", 0],
    ["of other columns stays, and the migration fails", "create index t_c on t ((c + 1))", 4],
    ["of another kind stays, and the migration fails", "create unique index t_c on t (c)", 4],
    ["on another table stays, and the migration fails", "create index t_c on witness (version)", 4],
  ];
  test.each(table)("%s", async (_what, sql, status) => {
    const { url } = await servers.postgres.createDatabase();
    expect((await headgate([...BUILD_UP, "--to", "1"], withUrl(url))).status).toBe(0);
    await query(url, sql);
    const run = await headgate(BUILD_UP, withUrl(url));
    expect(run.status).toBe(status);
    expect(eventOf(run, "index.adopted") !== undefined).toBe(status === 0);
    if (status !== 0) expect((await rowOf(url))?.["error"]).toContain("SQLSTATE 42P07");
  });
});

test("a role that cannot see another's statements still sees that a build goes on", async () => {
  const database = await servers.postgres.createDatabase();
  const dir = outsideFolder(BUILD);
  const stranger = await servers.postgres.createRole({ password: "geheim" });
  const holder = await holdSnapshot(database.url);
  const victim = start(["up", "--dir", dir], withUrl(database.url));
  await untilBuilding(database.url);
  victim.kill("SIGKILL");
  await victim.done;
  await query(database.url, `grant select on headgate_migrations to ${stranger.user}`);
  const url = asRole(database.url, stranger);
  const during = await headgate(["status", "--dir", dir, "--exit-code"], withUrl(url));
  expect([during.status, during.stdout.slice(0, 8)]).toEqual([3, "running:"]);
  await holder.release();
  await until(
    database.url,
    "select 1 where not exists (select from pg_stat_progress_create_index)",
  );
  const after = await headgate(["status", "--dir", dir, "--exit-code"], withUrl(url));
  expect([after.status, after.stdout.slice(0, 11)]).toEqual([4, "interrupted"]);
}, 60_000);

test("--atomic, down and a search path of the URL are refused where they cannot be kept", async () => {
  const { url } = await servers.postgres.createDatabase();
  const dir = outsideFolder(`${BUILD}\n-- migrate:down\ndrop index t_c;`);
  const refusal = async (args: readonly string[], at = url): Promise<readonly unknown[]> => {
    const run = await headgate([...args, "--dir", dir], withUrl(at));
    return [run.status, eventOf(run, "command.failed")?.["reason"]];
  };
  expect(await refusal(["up", "--atomic"])).toEqual([
    2,
    expect.stringContaining("0002_outside.sql runs outside of one"),
  ]);
  await query(url, "create schema elsewhere");
  expect(await refusal(["up"], `${url}?search_path=elsewhere`)).toEqual([
    2,
    expect.stringContaining("search path of the URL (elsewhere)"),
  ]);
  expect(await refusal(["up"])).toEqual([0, undefined]);
  expect(await refusal(["down"])).toEqual([2, expect.stringContaining("only reverted by hand")]);
  expect(await indexState(url)).toBe("valid");
}, 60_000);
