/**
 * A process that is told to stop takes its statement with it. The server would notice a client that
 * is gone only at its next look, if it looks at all; so every run here is one in which it never does,
 * and only a CancelRequest can end what sleeps for a minute.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import {
  BUILD,
  holdSnapshot,
  indexState,
  outsideFolder,
  rowOf,
  untilBuilding,
} from "../support/build.ts";
import { migrationFolder } from "../support/folder.ts";
import { eventOf, headgate, type Run, type Started, start, withUrl } from "../support/headgate.ts";
import { holdGate, holdOpen } from "../support/lock-holder.ts";
import { buildMutant, type Mutation } from "../support/mutant.ts";
import { query, until } from "../support/query.ts";
import { useServers } from "../support/use-servers.ts";

const PATIENCE_MS = 20_000;
/** Far above the two seconds that the product promises: this machine may be busy. */
const EXIT_CEILING_MS = 10_000;

const BLIND: Mutation = {
  file: "db/gate-settings.ts",
  find: 'client_connection_check_interval: "2s"',
  replace: 'client_connection_check_interval: "0"',
};
const MUTE: Mutation = {
  file: "db/leave.ts",
  find: "await cancelUntilAnswered(life, unanswered);",
  replace: "",
};
/** As when the resolver never answers. */
const LOST: Mutation = {
  file: "db/socket.ts",
  find: "const socket = connectTcp({ host: address ?? host, port });",
  replace: "const socket = await new Promise<Socket>(() => undefined);",
};

const servers = useServers({ poolSize: 6 });
let blind: Awaited<ReturnType<typeof buildMutant>>;
beforeAll(async () => {
  blind = await buildMutant(BLIND);
}, 60_000);
afterAll(() => blind.remove());

const SLEEP = "select pg_sleep(60);\n";
const FIRST = "create table first ();\n";
const REVERTIBLE = (down: string): string =>
  migrationFolder({ "1_first.sql": `-- migrate:up\n${FIRST}-- migrate:down\n${down}` });
const quick = migrationFolder({ "1_first.sql": FIRST });

const ASLEEP =
  "select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'";
/** Nobody of ours works, and nobody of ours holds a gate. */
const GONE = `select where not exists (select from pg_stat_activity
  where datname = current_database() and state <> 'idle' and query like '/* headgate:%')
and not exists (select from pg_locks join pg_stat_activity using (pid)
  where locktype = 'advisory' and datname = current_database() and application_name = 'headgate')`;

/** @returns What becomes of it when it is told to stop. */
async function stop(run: Started): Promise<Run> {
  const startMs = performance.now();
  run.kill("SIGTERM");
  const ended = await run.done;
  expect(performance.now() - startMs).toBeLessThan(EXIT_CEILING_MS);
  return ended;
}

async function expectStopped(run: Started): Promise<Run> {
  const ended = await stop(run);
  expect(ended).toMatchObject({ status: 143, stdout: "" });
  const reason = expect.stringContaining(": stopped by SIGTERM");
  expect(eventOf(ended, "command.failed")).toMatchObject({ code: "sigterm", reason });
  return ended;
}

/** Before that the process ends as any other. */
function catchesSigterm(pid: number): boolean {
  const [, caught = "0"] =
    /^SigCgt:\s*(\w+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return (BigInt(`0x${caught}`) & (1n << 14n)) !== 0n;
}

interface Stage {
  /** Past any pooler. */
  readonly url: string;
  /** As the runner goes. */
  readonly route: string;
  start(...args: readonly string[]): Started;
}

async function stage(isPooled: boolean): Promise<Stage> {
  const database = await servers.postgres.createDatabase();
  const route = isPooled ? servers.pool.urlOf(database) : database.url;
  return {
    url: database.url,
    route,
    start: (...args) => start(args, { ...withUrl(route), binary: blind.binary }),
  };
}

async function expectConverges({ route }: Stage, ...args: readonly string[]): Promise<void> {
  const again = await headgate(["up", ...args], withUrl(route));
  expect(again).toMatchObject({ status: 0 });
}

/** What a run that could not cancel has left. */
function endSleepers(url: string): Promise<unknown> {
  return query(url, ASLEEP.replace("select", "select pg_terminate_backend(pid, 5000)"));
}

const tables = async (url: string): Promise<number> =>
  (await query(url, "select from pg_tables where tablename in ('first', 'headgate_migrations')"))
    .length;

const routes = [
  ["direct", false],
  ["through a pool", true],
] as const;

test.each(routes)(
  "a migration is cancelled and rolled back (%s)",
  async (_route, isPooled) => {
    const here = await stage(isPooled);
    const run = here.start("up", "--dir", migrationFolder({ "1_first.sql": FIRST + SLEEP }));
    await until(here.url, ASLEEP, PATIENCE_MS);
    await expectStopped(run);
    await until(here.url, GONE, PATIENCE_MS);
    expect(await tables(here.url)).toBe(0);
    await expectConverges(here, "--dir", quick);
  },
  60_000,
);

test.each(routes)(
  "an index build is cancelled, its row stays, and the next run builds again (%s)",
  async (_route, isPooled) => {
    const here = await stage(isPooled);
    const dir = outsideFolder(BUILD);
    expect((await headgate(["up", "--dir", dir, "--to", "1"], withUrl(here.url))).status).toBe(0);
    const brake = await holdSnapshot(here.url);
    const run = here.start("up", "--dir", dir);
    await untilBuilding(here.url);
    const ended = await expectStopped(run);
    expect(eventOf(ended, "command.failed")?.["hint"]).toBe(
      "Its row stays running: the next headgate up takes it over and runs this statement again",
    );
    await until(here.url, GONE, PATIENCE_MS);
    expect(await rowOf(here.url)).toMatchObject({ state: "running", statements_done: 0 });
    expect(await indexState(here.url)).toBe("invalid");
    await brake.release();
    await expectConverges(here, "--dir", dir);
    expect(await indexState(here.url)).toBe("valid");
  },
  60_000,
);

test("a statement that cannot be repeated is left to a person, who is told so", async () => {
  const here = await stage(false);
  const run = here.start("up", "--dir", outsideFolder("select pg_sleep(60);"));
  await until(here.url, ASLEEP, PATIENCE_MS);
  const ended = await expectStopped(run);
  expect(eventOf(ended, "command.failed")).toMatchObject({
    reason: "Cannot finish statement 1 of 1 of 0002_outside.sql: stopped by SIGTERM",
    hint: "Its row stays running: see what the statement did, then headgate resolve 2 --rolled-back or --applied",
  });
  await until(here.url, GONE, PATIENCE_MS);
  const next = await headgate(["up", "--dir", outsideFolder("select 1;")], withUrl(here.url));
  expect(next.status).not.toBe(0);
  const resolved = await headgate(["resolve", "2", "--rolled-back"], withUrl(here.url));
  expect(resolved.status).toBe(0);
  await expectConverges(here, "--dir", outsideFolder("select 1;"));
}, 60_000);

test.each(routes)(
  "a runner that waits for the gate goes at once (%s)",
  async (_route, isPooled) => {
    const here = await stage(isPooled);
    const holder = await holdGate(here.url);
    const run = here.start("up", "--dir", quick);
    // It looks at the ledger before it sleeps, and once more after that.
    const looks =
      "select from pg_stat_activity where query like '/* headgate:%headgate_migrations%'";
    await until(here.url, `${looks} and datname = current_database() and state = 'idle'`);
    await Bun.sleep(500);
    await expectStopped(run);
    await until(here.url, GONE, PATIENCE_MS);
    await holder.release();
    await expectConverges(here, "--dir", quick);
  },
  60_000,
);

test.each(routes)(
  "so does one between two tries of a transaction (%s)",
  async (_route, isPooled) => {
    const here = await stage(isPooled);
    const change = "-- migrate:up lock_timeout:300ms\nalter table busy add column more int;\n";
    await query(here.url, "create table busy ()");
    const holder = await holdOpen(here.url, "select * from busy");
    const dir = migrationFolder({ "1_change.sql": change });
    const run = here.start("up", "--dir", dir);
    const blocked = `select from pg_stat_activity where ${holder.pid} = any (pg_blocking_pids(pid))`;
    await until(here.url, blocked, PATIENCE_MS);
    await until(here.url, `select where not exists (${blocked})`, PATIENCE_MS);
    await expectStopped(run);
    await until(here.url, GONE, PATIENCE_MS);
    await holder.release();
    await expectConverges(here, "--dir", dir);
  },
  60_000,
);

test.each(routes)(
  "seeding and reverting are cancelled and rolled back (%s)",
  async (_route, isPooled) => {
    const here = await stage(isPooled);
    const seeds = migrationFolder({ "a.sql": `create table seeded ();\n${SLEEP}` });
    const seeding = here.start("up", "--dir", REVERTIBLE(SLEEP), "--seeds", seeds);
    await until(here.url, ASLEEP, PATIENCE_MS);
    await expectStopped(seeding);
    await until(here.url, GONE, PATIENCE_MS);
    const reverting = here.start("down", "--dir", REVERTIBLE(SLEEP));
    await until(here.url, ASLEEP, PATIENCE_MS);
    await expectStopped(reverting);
    await until(here.url, GONE, PATIENCE_MS);
    expect(await query(here.url, "select from pg_tables where tablename = 'seeded'")).toEqual([]);
    const good = migrationFolder({ "a.sql": "create table seeded ();\n" });
    await expectConverges(here, "--dir", REVERTIBLE(SLEEP), "--seeds", good);
  },
  60_000,
);

test("a deadline ends a run as cleanly", async () => {
  const here = await stage(false);
  const sleepy = migrationFolder({ "1_first.sql": FIRST + SLEEP });
  const run = await here.start("up", "--dir", sleepy, "--deadline", "2s").done;
  expect(run.status).toBe(6);
  await until(here.url, GONE, PATIENCE_MS);
  await expectConverges(here, "--dir", quick);
}, 60_000);

test("a server that does not answer is left behind, and more signals change nothing", async () => {
  const here = await stage(false);
  const run = here.start("up", "--dir", migrationFolder({ "1_first.sql": FIRST + SLEEP }));
  await until(here.url, ASLEEP, PATIENCE_MS);
  await servers.postgres.pause();
  let isOver = false;
  const insist = (async () => {
    for (; !isOver; await Bun.sleep(100)) run.kill("SIGTERM");
  })();
  await expectStopped(run).finally(() => servers.postgres.resume());
  isOver = true;
  await insist;
  await endSleepers(here.url);
  await expectConverges(here, "--dir", quick);
}, 60_000);

test("a resolver that never answers does not keep it", async () => {
  const mutant = await buildMutant(LOST);
  const { url } = await servers.postgres.createDatabase();
  const options = { ...withUrl(url, { HEADGATE_LOG_LEVEL: "debug" }), binary: mutant.binary };
  const run = start(["up", "--dir", quick, "--connect-timeout", "60s"], options);
  while (!catchesSigterm(run.pid)) await Bun.sleep(5);
  await expectStopped(run);
  mutant.remove();
}, 60_000);

test("a runner that does not cancel leaves its statement and its locks behind", async () => {
  const mutant = await buildMutant(BLIND, MUTE);
  const { url } = await servers.postgres.createDatabase();
  const dir = migrationFolder({ "1_first.sql": FIRST + SLEEP });
  const run = start(["up", "--dir", dir], { ...withUrl(url), binary: mutant.binary });
  await until(url, ASLEEP, PATIENCE_MS);
  expect((await stop(run)).status).toBe(143);
  mutant.remove();
  expect(await query(url, ASLEEP)).toHaveLength(1);
  expect(await query(url, GONE)).toHaveLength(0);
  await endSleepers(url);
}, 60_000);
