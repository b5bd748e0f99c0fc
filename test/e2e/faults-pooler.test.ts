/** What a pooler does to a runner: it dies, it is paused, it is told to end, it is full, it is impatient. */
import { expect, test } from "bun:test";
import {
  holdSnapshot,
  indexState,
  outsideFolder,
  untilBuilding,
  WITNESSED,
  witnesses,
} from "../support/build.ts";
import {
  expectConverged,
  lastWords,
  sleepyFolder,
  untilAsleep,
  withMutant,
} from "../support/faults.ts";
import { eventOf, headgate, type Started, start, withUrl } from "../support/headgate.ts";
import { hold, query } from "../support/query.ts";
import { appliers } from "../support/race.ts";
import type { Database, Pgbouncer, PgbouncerOptions } from "../support/substrate.ts";
import { useServers } from "../support/use-servers.ts";

const servers = useServers();

const LONG_MS = 120_000;
const sleepy = sleepyFolder(2);
const UP = ["up", "--dir", sleepy];

interface Stage {
  readonly database: Database;
  readonly pooler: Pgbouncer;
  /** Through the pooler. */
  readonly url: string;
}

/** A pooler of its own for each test: what is done to it concerns all its clients. */
async function open(options: PgbouncerOptions = {}): Promise<Stage> {
  const database = await servers.postgres.createDatabase();
  const pooler = await servers.substrate.pgbouncer(servers.postgres, { poolSize: 2, ...options });
  return { database, pooler, url: pooler.urlOf(database) };
}

async function startAsleep({ database, url }: Stage): Promise<Started> {
  const runner = start(UP, withUrl(url));
  await untilAsleep(database.url);
  return runner;
}

const faults: readonly [what: string, doIt: (stage: Stage) => Promise<void>, isLost: boolean][] = [
  ["killed and started again", ({ pooler }) => pooler.restart(), true],
  [
    "told to KILL the database, and to RESUME it",
    async ({ pooler, database }) => {
      await pooler.admin(`kill ${database.name}`);
      await pooler.admin(`resume ${database.name}`);
    },
    true,
  ],
  [
    "told to end safely, and started again",
    async ({ pooler }) => {
      await pooler.shutDownSafely();
      await pooler.restart();
    },
    true,
  ],
  [
    "told to PAUSE, which waits for our transaction, and to RESUME",
    async ({ pooler, database }) => {
      await pooler.admin(`pause ${database.name}`);
      expect(await ledgerOf(database.url)).toContain(2);
      await pooler.admin(`resume ${database.name}`);
    },
    false,
  ],
  ["told to RELOAD", ({ pooler }) => pooler.admin("reload"), false],
];

async function ledgerOf(url: string): Promise<readonly number[]> {
  const rows = await query(url, "select version::int as version from headgate_migrations");
  return rows.map(({ version }) => version as number);
}

test.concurrent.each(faults)(
  "a pooler in the middle of a migration is %s: it is applied once",
  async (_what, doIt, isLost) => {
    const stage = await open();
    const runner = await startAsleep(stage);
    await doIt(stage);
    const run = await runner.done;
    expect(run.status).toBe(0);
    expect(eventOf(run, "connection.lost") !== undefined).toBe(isLost);
    expect([...appliers([run]).values()]).toEqual([1, 1, 1]);
    await expectConverged(stage.database.url, sleepy);
  },
  LONG_MS,
);

test.concurrent(
  "a pooler is killed during a build outside a transaction: it is built once",
  async () => {
    const stage = await open({ poolSize: 4 });
    const dir = outsideFolder(WITNESSED);
    const snapshot = await holdSnapshot(stage.database.url);
    const runner = start(["up", "--dir", dir], withUrl(stage.url));
    await untilBuilding(stage.database.url);
    await stage.pooler.restart();
    await snapshot.release();
    const run = await runner.done;
    expect([run.status, eventOf(run, "connection.lost")]).toEqual([0, expect.anything()]);
    const { url } = stage.database;
    expect([await witnesses(url), await indexState(url)]).toEqual([1, "valid"]);
  },
  LONG_MS,
);

test.concurrent(
  "a pooler whose idle_transaction_timeout is shorter than a beat: built all the same",
  async () => {
    const stage = await open({ poolSize: 4, settings: { idle_transaction_timeout: "2" } });
    const dir = outsideFolder(WITNESSED);
    const snapshot = await holdSnapshot(stage.database.url);
    const runner = start(["up", "--dir", dir], withUrl(stage.url));
    await untilBuilding(stage.database.url);
    await Bun.sleep(8000);
    await snapshot.release();
    const run = await runner.done;
    expect(run.status).toBe(0);
    expect(eventOf(run, "connection.lost")?.["reason"]).toContain("shows we live");
    const { url } = stage.database;
    expect([await witnesses(url), await indexState(url)]).toEqual([1, "valid"]);
  },
  LONG_MS,
);

test.concurrent(
  "a pool that others exhaust: our own deadline, named, and then a place",
  async () => {
    const stage = await open({ poolSize: 1 });
    const held = await hold(stage.url, "begin");
    const runner = start(UP, withUrl(stage.url));
    await Bun.sleep(25_000);
    await held.end();
    const run = await runner.done;
    expect(run.status).toBe(0);
    const waited = run.events.find(({ reason }) => String(reason).includes("within 20000 ms"));
    expect(waited?.["reason"]).toContain("no answer within 20000 ms");
    await expectConverged(stage.database.url, sleepy);
  },
  LONG_MS,
);

test.concurrent(
  "a pool that others exhaust for good: 7, and what to look at",
  async () => {
    const stage = await open({ poolSize: 1 });
    const held = await hold(stage.url, "begin");
    const hasty = {
      file: "db/connection.ts",
      find: "QUESTION_DEADLINE_MS = 20_000",
      replace: "QUESTION_DEADLINE_MS = 200",
    };
    const run = await withMutant([hasty], (mutant) =>
      headgate([...UP, "--lock-wait", "1s"], { ...withUrl(stage.url), ...mutant }),
    );
    await held.end();
    expect(run.status).toBe(7);
    const { reason, hint } = lastWords(run);
    expect(reason).toContain("no answer within 200 ms");
    expect(hint).toContain("SHOW POOLS");
    await expectConverged(stage.database.url, sleepy);
  },
  LONG_MS,
);

test.concurrent(
  "a pooler that lets no further client in: 7 with its words, and later a place",
  async () => {
    const stage = await open({ settings: { max_client_conn: "1" } });
    const held = await hold(stage.url, "select 1");
    const run = await headgate([...UP, "--lock-wait", "1s"], withUrl(stage.url));
    expect(run.status).toBe(7);
    const { reason, hint } = lastWords(run);
    expect(reason).toContain("no more connections allowed");
    expect(hint).toContain("max_client_conn");
    const later = start(UP, withUrl(stage.url));
    await Bun.sleep(1000);
    await held.end();
    expect((await later.done).status).toBe(0);
  },
  LONG_MS,
);
