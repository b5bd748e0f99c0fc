/**
 * A migration that waits for a lock makes everybody who comes later wait behind it. So it waits
 * briefly, gives way, and tries again; and who is in its way is named each time.
 */
import { describe, expect, test } from "bun:test";
import {
  BUILD,
  builderPid,
  holdSnapshot,
  indexState,
  outsideFolder,
  rowOf,
  untilBuilding,
  WITNESSED,
  witnesses,
} from "../support/build.ts";
import { migrationFolder } from "../support/folder.ts";
import {
  eventOf,
  headgate,
  type Run,
  type RunOptions,
  start,
  withUrl,
} from "../support/headgate.ts";
import { holdOpen } from "../support/lock-holder.ts";
import { buildMutant, type Mutation } from "../support/mutant.ts";
import { asRole, hold, query, until } from "../support/query.ts";
import { appliers } from "../support/race.ts";
import { traffic } from "../support/traffic.ts";
import { useServers } from "../support/use-servers.ts";

const servers = useServers({ poolSize: 2 });

const LOCK_TIMEOUT_MS = 1000;
/** For a busy machine. */
const EPSILON_MS = 3000;
/** Longer than both together. */
const HELD_MS = 6000;
/** The tests run at once, and most of their time is waiting. */
const PATIENCE_MS = 60_000;
const LIMITS = ["--lock-timeout", `${LOCK_TIMEOUT_MS}ms`];

const HOT = {
  "0001_hot.sql": "create table hot (id int primary key);\ninsert into hot values (1);\n",
  "0002_note.sql": "alter table hot add column note text;\n",
};
const HOT_UP = ["up", "--dir", migrationFolder(HOT), ...LIMITS];
const VACUUM_UP = ["up", "--dir", outsideFolder("vacuum full t;"), ...LIMITS];
const BUILD_UP = ["up", "--dir", outsideFolder(BUILD), ...LIMITS];

/** A runner's statement that queues for a relation. */
const QUEUED = `select from pg_locks l join pg_stat_activity a on a.pid = l.pid
where a.datname = current_database() and not l.granted and l.locktype = 'relation'
  and a.query like '/* headgate:%'`;

async function atFirst(args: readonly string[]): Promise<string> {
  const { url } = await servers.postgres.createDatabase();
  expect((await headgate([...args, "--to", "1"], withUrl(url))).status).toBe(0);
  return url;
}

interface Scene {
  readonly url: string;
  readonly args: readonly string[];
  readonly options: RunOptions;
  /** What is in the way, and what everybody else does meanwhile. */
  readonly held: string;
  readonly others: string;
}

/** The holder comes, then the runner, and at last the holder goes. */
async function behindHolder({ url, args, options, held, others }: Scene): Promise<{
  readonly run: Run;
  readonly longestMs: number;
  readonly holderPid: number;
}> {
  const holder = await holdOpen(url, held);
  const clients = traffic(url, others);
  const runner = start(args, options);
  await until(url, QUEUED, PATIENCE_MS);
  await Bun.sleep(HELD_MS);
  await holder.release();
  const run = await runner.done;
  return { run, longestMs: await clients.stop(), holderPid: holder.pid };
}

const DUMPED = { held: "lock table hot in access share mode", others: "select from hot" };
const VACUUMED = { held: "lock table t in access share mode", others: "select from t" };

async function withMutant(
  mutations: readonly Mutation[],
  use: (binary: string) => Promise<void>,
): Promise<void> {
  const { binary, remove } = await buildMutant(...mutations);
  await use(binary).finally(remove);
}

describe.concurrent("readers of a hot table, while a dump reads it and a migration is to change it", () => {
  test(
    "never wait longer than lock_timeout; it is applied once, here through a pool of 1",
    async () => {
      const url = await atFirst(HOT_UP);
      const name = new URL(url).pathname.slice(1);
      const pool = await servers.substrate.pgbouncer(servers.postgres, { poolSize: 1 });
      const options = withUrl(pool.urlOf({ name, url }));
      const scene = { url, args: HOT_UP, options, ...DUMPED };
      const { run, longestMs, holderPid } = await behindHolder(scene);
      expect(run.stderr).not.toContain("command.failed");
      expect(run.status).toBe(0);
      expect(longestMs).toBeLessThan(LOCK_TIMEOUT_MS + EPSILON_MS);
      expect(appliers([run])).toEqual(new Map([[2, 1]]));
      const retries = run.events.filter(({ event }) => event === "step.retried");
      expect(retries.length).toBeGreaterThanOrEqual(1);
      for (const retry of retries) {
        expect(retry).toMatchObject({
          sqlstate: "55P03",
          blocker_pid: holderPid,
          blocker_user: "app",
          blocker_query: DUMPED.held,
          blocker_lock: "AccessShareLock",
          blocker_relation: "hot",
        });
        expect(Number(retry["blocker_age_ms"])).toBeGreaterThanOrEqual(LOCK_TIMEOUT_MS);
      }
    },
    2 * PATIENCE_MS,
  );

  test(
    "wait for as long as the dump lasts, if the migration does",
    async () => {
      const url = await atFirst(HOT_UP);
      const find = "integerLiteral(limits.lockTimeoutMs)";
      await withMutant([{ file: "db/body.ts", find, replace: "0" }], async (binary) => {
        const options = { ...withUrl(url), binary };
        const { run, longestMs } = await behindHolder({ url, args: HOT_UP, options, ...DUMPED });
        expect(run.status).toBe(0);
        expect(longestMs).toBeGreaterThan(LOCK_TIMEOUT_MS + EPSILON_MS);
      });
    },
    2 * PATIENCE_MS,
  );
});

test.concurrent(
  "a dump that does not end: growing pauses, then exit 6 that names it, and nothing stays",
  async () => {
    const { url } = await servers.postgres.createDatabase();
    const role = await servers.postgres.createRole({ password: "geheim" });
    await query(url, `grant all on schema public to ${role.user}`);
    const options = withUrl(asRole(url, role));
    expect((await headgate([...HOT_UP, "--to", "1"], options)).status).toBe(0);
    const dump = await holdOpen(url, DUMPED.held);
    const brief = ["--lock-timeout", "100ms", "--lock-wait", "5s"];
    const run = await headgate([...HOT_UP.slice(0, 3), ...brief], options);
    expect(run.status).toBe(6);
    const pauses = run.events
      .filter(({ event }) => event === "step.retried")
      .map((event) => Number(event["pause_ms"]));
    // The last one is cut short by the bound.
    for (const [at, pauseMs] of pauses.slice(0, -1).entries()) {
      expect(pauseMs).toBeGreaterThanOrEqual(250 * 2 ** at);
      expect(pauseMs).toBeLessThanOrEqual(750 * 2 ** at);
    }
    expect(pauses.length).toBeGreaterThanOrEqual(2);
    const failed = eventOf(run, "command.failed");
    expect(failed?.["reason"]).toContain(`pid ${dump.pid} holds AccessShareLock on hot`);
    // To this role the server does not show what another one does.
    expect(failed?.["reason"]).toContain("role app, its statement is hidden from this role");
    expect(failed?.["hint"]).toContain("--lock-wait");
    await dump.release();
    expect((await headgate(HOT_UP, options)).status).toBe(0);
  },
  2 * PATIENCE_MS,
);

test.concurrent(
  "a prepared transaction in the way is named by its gid",
  async () => {
    const settings = { max_prepared_transactions: "2" };
    const server = await servers.substrate.postgres({ settings });
    const brief = ["--lock-timeout", "100ms", "--lock-wait", "500ms"];
    const table: readonly (readonly [args: readonly string[], table: string])[] = [
      [HOT_UP, "hot"],
      [BUILD_UP, "t"],
    ];
    for (const [args, name] of table) {
      const { url } = await server.createDatabase();
      expect((await headgate([...args, "--to", "1"], withUrl(url))).status).toBe(0);
      await query(url, `begin; lock table ${name} in share mode; prepare transaction '${name}''s'`);
      const run = await headgate([...args.slice(0, 3), ...brief], withUrl(url));
      await query(url, `rollback prepared '${name}''s'`);
      expect(run.status).toBe(6);
      expect(eventOf(run, "command.failed")?.["reason"]).toContain(
        `prepared transaction ${name}'s holds ShareLock on ${name}, in a transaction of`,
      );
    }
  },
  2 * PATIENCE_MS,
);

test.concurrent(
  "a deadlock is tried again, with the server's account of it",
  async () => {
    const { url } = await servers.postgres.createDatabase();
    const dir = migrationFolder({
      "0001_tables.sql": "create table a (); create table b ();",
      // Goes on when the other one waits for a, or has left b.
      "0002_both.sql": `lock table a;
do $$ begin
  while exists (select from pg_locks where relation = 'b'::regclass and granted)
    and not exists (select from pg_locks where relation = 'a'::regclass and not granted)
  loop perform pg_sleep(0.02); end loop;
end $$;
lock table b;
create table c ();`,
    });
    expect((await headgate(["up", "--dir", dir, "--to", "1"], withUrl(url))).status).toBe(0);
    // Only the runner looks for deadlocks, so it is the one that gives way.
    const app = await hold(url, "set deadlock_timeout = '10min'; begin; lock table b");
    const runner = start(["up", "--dir", dir, "--lock-timeout", "50s"], withUrl(url));
    const hasA = "select from pg_locks where relation = 'a'::regclass and granted";
    await until(url, hasA, PATIENCE_MS);
    await app.run("lock table a; commit");
    await app.end();
    const run = await runner.done;
    expect(run.status).toBe(0);
    expect(appliers([run])).toEqual(new Map([[2, 1]]));
    expect(eventOf(run, "step.retried")).toMatchObject({
      sqlstate: "40P01",
      detail: expect.stringContaining(`blocked by process ${app.pid}`),
    });
  },
  2 * PATIENCE_MS,
);

describe.concurrent("outside a transaction, a statement that queues for a table", () => {
  test(
    "leaves the queue in time, names who is in its way, and builds in the end",
    async () => {
      const url = await atFirst(BUILD_UP);
      const name = new URL(url).pathname.slice(1);
      const options = withUrl(servers.pool.urlOf({ name, url }));
      const shared = "lock table t in share mode";
      const scene = {
        url,
        args: BUILD_UP,
        options,
        held: shared,
        others: `begin; ${shared}; commit`,
      };
      const { run, longestMs, holderPid } = await behindHolder(scene);
      expect(run.stderr).not.toContain("command.failed");
      expect(run.status).toBe(0);
      expect(longestMs).toBeLessThan(LOCK_TIMEOUT_MS + EPSILON_MS);
      expect(await indexState(url)).toBe("valid");
      expect(await rowOf(url)).toMatchObject({ state: "applied", statements_done: 1 });
      const blocker = {
        version: 2,
        statement: 1,
        waits_for: "relation",
        lock: "ShareUpdateExclusiveLock",
        relation: "t",
      };
      expect(eventOf(run, "build.waiting")).toMatchObject(blocker);
      const retried = run.events.find((event) => event["blocker_pid"] === holderPid);
      expect(retried).toMatchObject({
        blocker_lock: "ShareLock",
        blocker_query: shared,
        blocker_user: "app",
        blocker_age_ms: expect.any(Number),
      });
      expect(eventOf(run, "build.retried")).toMatchObject({
        ...blocker,
        pause_ms: expect.any(Number),
      });
      expect(eventOf(run, "build.taken-over")).toBeUndefined();
    },
    2 * PATIENCE_MS,
  );

  test(
    "keeps no reader waiting longer than that either",
    async () => {
      const url = await atFirst(VACUUM_UP);
      const scene = { url, args: VACUUM_UP, options: withUrl(url), ...VACUUMED };
      const { run, longestMs } = await behindHolder(scene);
      expect(run.status).toBe(0);
      expect(longestMs).toBeLessThan(LOCK_TIMEOUT_MS + EPSILON_MS);
    },
    2 * PATIENCE_MS,
  );

  test(
    "keeps readers waiting to the end, if nobody cancels it",
    async () => {
      const url = await atFirst(VACUUM_UP);
      const find = "nowMs - watch.queuedMs >= lockTimeoutMs";
      const patient = { file: "flow/queue-watch.ts", find, replace: "nowMs < 0" };
      await withMutant([patient], async (binary) => {
        const options = { ...withUrl(url), binary };
        const { run, longestMs } = await behindHolder({
          url,
          args: VACUUM_UP,
          options,
          ...VACUUMED,
        });
        expect(run.status).toBe(0);
        expect(longestMs).toBeGreaterThan(LOCK_TIMEOUT_MS + EPSILON_MS);
      });
    },
    2 * PATIENCE_MS,
  );

  test(
    "ends with 6 and goes on later, if it may be repeated; else with 4 and a failed row",
    async () => {
      const outcome = async (args: readonly string[]): Promise<readonly unknown[]> => {
        const url = await atFirst(args);
        const holder = await holdOpen(url, "lock table t in share mode");
        const brief = ["--lock-timeout", "300ms", "--lock-wait", "1s"];
        const run = await headgate([...args.slice(0, 3), ...brief], withUrl(url));
        await holder.release();
        expect(eventOf(run, "command.failed")?.["reason"]).toContain(`pid ${holder.pid} holds`);
        const { state } = (await rowOf(url)) ?? {};
        return [run.status, state, (await headgate(args, withUrl(url))).status];
      };
      expect(await Promise.all([outcome(BUILD_UP), outcome(VACUUM_UP)])).toEqual([
        [6, "running", 0],
        [4, "failed", 4],
      ]);
    },
    2 * PATIENCE_MS,
  );
});

describe.concurrent("a concurrent build that waits for an old snapshot", () => {
  const SNAPSHOT_MS = 3 * LOCK_TIMEOUT_MS;
  const WITNESSED_UP = ["up", "--dir", outsideFolder(WITNESSED), ...LIMITS];

  test(
    "is never cancelled, and says what it waits for",
    async () => {
      const url = await atFirst(WITNESSED_UP);
      const snapshot = await holdSnapshot(url);
      const runner = start(WITNESSED_UP, withUrl(url));
      await untilBuilding(url);
      const builder = await builderPid(url);
      await Bun.sleep(SNAPSHOT_MS);
      expect(await builderPid(url)).toBe(builder);
      await snapshot.release();
      const run = await runner.done;
      expect(run.status).toBe(0);
      expect(eventOf(run, "build.retried")).toBeUndefined();
      expect(eventOf(run, "build.waiting")).toMatchObject({
        waits_for: "virtualxid",
        blocker_user: "app",
        blocker_query: expect.stringContaining("pg_backend_pid"),
      });
      expect(await indexState(url)).toBe("valid");
      expect(await witnesses(url)).toBe(1);
    },
    2 * PATIENCE_MS,
  );

  test(
    "begins again and again, if any wait counts",
    async () => {
      const url = await atFirst(WITNESSED_UP);
      const any: readonly Mutation[] = [
        {
          file: "flow/queue-watch.ts",
          find: 'if (wait?.kind !== "relation")',
          replace: "if (wait === undefined)",
        },
        {
          file: "db/blockers.ts",
          find: "not l.granted and l.locktype = 'relation')`",
          replace: "not l.granted)`",
        },
      ];
      await withMutant(any, async (binary) => {
        const snapshot = await holdSnapshot(url);
        const runner = start(WITNESSED_UP, { ...withUrl(url), binary });
        await untilBuilding(url);
        await Bun.sleep(SNAPSHOT_MS);
        await snapshot.release();
        const run = await runner.done;
        expect(run.status).toBe(0);
        expect(eventOf(run, "build.retried")).toMatchObject({ waits_for: "virtualxid" });
        expect(eventOf(run, "index.dropped")).toBeDefined();
      });
    },
    2 * PATIENCE_MS,
  );

  test(
    "that a person cancels has failed",
    async () => {
      const url = await atFirst(BUILD_UP);
      const snapshot = await holdSnapshot(url);
      const runner = start(BUILD_UP, withUrl(url));
      await untilBuilding(url);
      await query(url, `select pg_cancel_backend(${await builderPid(url)})`);
      const run = await runner.done;
      await snapshot.release();
      expect(run.status).toBe(4);
      expect((await rowOf(url))?.["error"]).toContain("SQLSTATE 57014");
    },
    2 * PATIENCE_MS,
  );
});
