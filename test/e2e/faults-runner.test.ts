/**
 * Runners that die, freeze or are cut off, with a transaction open, with a statement running, and
 * while they build outside of one: how long their locks outlive them, and that whoever comes back is
 * fenced out. The bounds are the real ones, half a minute, so everything here waits at the same time.
 */
import { afterAll, expect, test } from "bun:test";
import { keyArguments, runKey } from "../../src/core/gate-key.ts";
import {
  holdSnapshot,
  indexState,
  outsideFolder,
  rowOf,
  untilBuilding,
  WITNESSED,
  witnesses,
} from "../support/build.ts";
import { canCutNetwork, cutNetwork } from "../support/cut-network.ts";
import {
  ASLEEP,
  expectConverged,
  IDLE_IN_GATE,
  lastWords,
  sleepyFolder,
  untilAsleep,
  untilUnlocked,
  withMutant,
} from "../support/faults.ts";
import {
  eventOf,
  headgate,
  type RunOptions,
  type Started,
  start,
  withUrl,
} from "../support/headgate.ts";
import { holdGate } from "../support/lock-holder.ts";
import { buildMutant, type Mutation } from "../support/mutant.ts";
import { query, until } from "../support/query.ts";
import { appliers } from "../support/race.ts";
import { openRelay, type Relay } from "../support/relay.ts";
import type { Database } from "../support/substrate.ts";
import { useServers } from "../support/use-servers.ts";

const servers = useServers({ poolSize: 4 });

const LONG_MS = 240_000;
/** Well below the idle limit and the sleep of `endless`: only the death itself can free the lock. */
const SOON_MS = 15_000;
/** The idle limit or the keepalives, and time for a busy machine. */
const HALF_A_MINUTE_CEILING_MS = 75_000;

/** Long enough for a busy machine to see it sleep and to freeze it. */
const sleepy = sleepyFolder(3);
const endless = sleepyFolder(60);
const UP = ["up", "--dir", sleepy];
const witnessed = outsideFolder(WITNESSED);
const BUILD_UP = ["up", "--dir", witnessed];
const sleepingOutside = outsideFolder(
  "select pg_sleep(3);\ninsert into witness values (2, pg_backend_pid());",
);
const LEDGER = { schema: "public", table: "headgate_migrations" };

const WAYS: readonly (readonly [string, (database: Database) => string])[] = [
  ["direct", ({ url }) => url],
  ["through a pooler", (database) => servers.pool.urlOf(database)],
];

/** Sends one at a time, as a runner does that has twenty of them under way. */
const ONE_AT_A_TIME: readonly Mutation[] = [
  { file: "flow/apply-all.ts", find: "IN_FLIGHT_MAX = 20", replace: "IN_FLIGHT_MAX = 1" },
  { file: "flow/apply-all.ts", find: "IN_FLIGHT_MIN = 5", replace: "IN_FLIGHT_MIN = 0" },
];
const slowSender = buildMutant(...ONE_AT_A_TIME);
afterAll(async () => (await slowSender).remove());

/** Two migrations in one transaction: behind the first of them it waits for a runner that sent no more. */
async function startAtomic(
  url: string,
  direct: string,
  options: Pick<RunOptions, "binary"> = {},
): Promise<Started> {
  expect((await headgate([...UP, "--to", "1"], withUrl(direct))).status).toBe(0);
  const { binary } = await slowSender;
  const runner = start([...UP, "--atomic"], { ...withUrl(url), binary, ...options });
  await untilAsleep(direct);
  return runner;
}

/** Frozen in the middle of its second migration, whose statement then ends without it. */
async function freezeInGate(
  url: string,
  direct: string,
  options: Pick<RunOptions, "binary"> = {},
): Promise<Started> {
  const runner = await startAtomic(url, direct, options);
  runner.kill("SIGSTOP");
  await until(direct, `select ${IDLE_IN_GATE}`, 30_000);
  return runner;
}

test.concurrent.each(WAYS)(
  "killed idle in transaction: the lock is free at once (%s)",
  async (_how, urlOf) => {
    const database = await servers.postgres.createDatabase();
    const runner = await freezeInGate(urlOf(database), database.url);
    runner.kill("SIGKILL");
    await untilUnlocked(database.url, SOON_MS);
    await expectConverged(database.url, sleepy);
  },
  LONG_MS,
);

/** What lets a server look after a client whose statement runs. */
const NEVER_LOOKS: Mutation = {
  file: "db/gate-settings.ts",
  find: 'client_connection_check_interval: "2s"',
  replace: 'client_connection_check_interval: "0"',
};

async function killAsleep(url: string, direct: string, options: RunOptions = {}): Promise<void> {
  const runner = start(["up", "--dir", endless], { ...withUrl(url), ...options });
  await untilAsleep(direct);
  runner.kill("SIGKILL");
  await runner.done;
}

test.concurrent.each(WAYS)(
  "killed with a statement running: the server notices, long before the statement ends (%s)",
  async (_how, urlOf) => {
    const database = await servers.postgres.createDatabase();
    await killAsleep(urlOf(database), database.url);
    await until(database.url, `select where not exists (select ${ASLEEP})`, SOON_MS);
    await untilUnlocked(database.url, SOON_MS);
    expect(await query(database.url, "select to_regclass('half_done') as found")).toEqual([
      { found: null },
    ] as never);
    await expectConverged(database.url, sleepy);
  },
  LONG_MS,
);

test.concurrent(
  "without the check interval, a dead runner's statement runs on",
  async () => {
    const { url } = await servers.postgres.createDatabase();
    await withMutant([NEVER_LOOKS], (mutant) => killAsleep(url, url, mutant));
    await Bun.sleep(SOON_MS);
    expect(await query(url, `select pg_terminate_backend(pid) ${ASLEEP}`)).toHaveLength(1);
    await untilUnlocked(url, SOON_MS);
  },
  LONG_MS,
);

test.concurrent.each(WAYS)(
  "frozen idle in transaction: the server ends it, another one gets on, the thawed one is fenced out (%s)",
  async (_how, urlOf) => {
    const database = await servers.postgres.createDatabase();
    const url = urlOf(database);
    const frozen = await freezeInGate(url, database.url);
    const next = await headgate([...UP, "--lock-wait", "75s"], withUrl(url));
    expect(next.status).toBe(0);
    expect([...appliers([next]).keys()]).toEqual([2, 3]);
    const waiting = next.events.filter(({ event }) => event === "gate.waiting");
    expect(waiting.at(-1)?.["holder_state"]).toBe("idle in transaction");
    frozen.kill("SIGCONT");
    const run = await frozen.done;
    expect(run.status).toBe(0);
    expect([...appliers([run]).keys()]).toEqual([]);
    expect(eventOf(run, "connection.lost")).toBeDefined();
    await expectConverged(database.url, sleepy);
  },
  LONG_MS,
);

test.concurrent(
  "without the idle limit, a frozen runner holds the gate for good",
  async () => {
    const { url } = await servers.postgres.createDatabase();
    const noLimit: Mutation = {
      file: "db/gate-settings.ts",
      find: "const IDLE_LIMIT_MS = 30_000;",
      replace: "const IDLE_LIMIT_MS = 0;",
    };
    const frozen = await withMutant([noLimit, ...ONE_AT_A_TIME], async (mutant) => {
      const runner = await freezeInGate(url, url, mutant);
      const next = await headgate([...UP, "--lock-wait", "40s"], withUrl(url));
      expect(next.status).toBe(6);
      expect(lastWords(next).reason).toContain("state idle in transaction");
      runner.kill("SIGCONT");
      return runner.done;
    });
    expect(frozen.status).toBe(0);
    await expectConverged(url, sleepy);
  },
  LONG_MS,
);

test.concurrent(
  "frozen while it builds: its index is adopted, and thawed it runs no further statement",
  async () => {
    const { url } = await servers.postgres.createDatabase();
    const snapshot = await holdSnapshot(url);
    const frozen = start(BUILD_UP, withUrl(url));
    await untilBuilding(url);
    frozen.kill("SIGSTOP");
    await snapshot.release();
    const next = await headgate([...BUILD_UP, "--lock-wait", "75s"], withUrl(url));
    expect(next.status).toBe(0);
    expect(eventOf(next, "build.taken-over")).toBeDefined();
    expect(eventOf(next, "index.adopted")).toBeDefined();
    frozen.kill("SIGCONT");
    const run = await frozen.done;
    expect(run.status).toBe(0);
    expect(appliers([run]).get(2)).toBeUndefined();
    expect([await witnesses(url), await indexState(url)]).toEqual([1, "valid"]);
    expect((await rowOf(url))?.["state"]).toBe("applied");
    await untilUnlocked(url, SOON_MS);
  },
  LONG_MS,
);

test.concurrent(
  "frozen between two statements of a build: K_RUN alone shows that it lives",
  async () => {
    const { url } = await servers.postgres.createDatabase();
    const lockless: Mutation = {
      file: "db/liveness.ts",
      find: "where l.locktype = 'advisory' and l.granted",
      replace: "where false",
    };
    await withMutant([lockless], async (mutant) => {
      const runner = start(["up", "--dir", sleepingOutside], withUrl(url));
      await untilAsleep(url);
      runner.kill("SIGSTOP");
      await until(url, `select where not exists (select ${ASLEEP})`);
      const status = ["status", "--dir", sleepingOutside, "--exit-code"];
      expect((await headgate(status, withUrl(url))).status).toBe(3);
      expect((await headgate(status, { ...withUrl(url), ...mutant })).status).toBe(4);
      runner.kill("SIGCONT");
      expect((await runner.done).status).toBe(0);
    });
    expect(await witnesses(url)).toBe(1);
  },
  LONG_MS,
);

test.concurrent(
  "frozen with a lease: it runs out, and the thawed one is fenced out",
  async () => {
    const database = await servers.postgres.createDatabase();
    const single = await servers.substrate.pgbouncer(servers.postgres, { poolSize: 1 });
    const url = single.urlOf(database);
    const short: readonly Mutation[] = [
      { file: "flow/build-signal.ts", find: "LEASE_MS = 60_000", replace: "LEASE_MS = 6_000" },
      { file: "flow/build-signal.ts", find: "RENEW_MS = 20_000", replace: "RENEW_MS = 1_000" },
    ];
    await withMutant(short, async (mutant) => {
      const frozen = start(["up", "--dir", sleepingOutside], { ...withUrl(url), ...mutant });
      await untilAsleep(database.url);
      frozen.kill("SIGSTOP");
      const next = await headgate(
        ["up", "--dir", sleepingOutside, "--lock-wait", "60s"],
        withUrl(database.url),
      );
      expect(next.status).toBe(4);
      expect(lastWords(next).reason).toContain("0 of its statements are done");
      const resolve = ["resolve", "2", "--applied", "--dir", sleepingOutside];
      expect((await headgate(resolve, withUrl(database.url))).status).toBe(0);
      frozen.kill("SIGCONT");
      const run = await frozen.done;
      expect([run.status, eventOf(run, "build.superseded")]).toEqual([0, expect.anything()]);
      expect(await witnesses(database.url)).toBe(0);
    });
  },
  LONG_MS,
);

function through(relay: Relay, url: string): string {
  const there = new URL(url);
  there.host = `${relay.host}:${relay.port}`;
  there.searchParams.set("sslmode", "disable");
  return there.href;
}

test.concurrent(
  "silent in the middle of a migration: others get on after the idle limit, and then the first one",
  async () => {
    const { url } = await servers.postgres.createDatabase();
    const relay = await openRelay(servers.postgres);
    const cutOff = await startAtomic(through(relay, url), url);
    expect(relay.silence()).toBeGreaterThan(0);
    const next = await headgate([...UP, "--lock-wait", "75s"], withUrl(url));
    expect([next.status, [...appliers([next]).keys()]]).toEqual([0, [2, 3]]);
    relay.heal();
    const run = await cutOff.done;
    await relay.close();
    expect([run.status, [...appliers([run]).keys()]]).toEqual([0, []]);
    // Its next question may fail before it has read the server's last words.
    const reason = eventOf(run, "connection.lost")?.["reason"];
    expect(reason).toMatch(/idle-in-transaction timeout|EPIPE|ECONNRESET/);
    await expectConverged(url, sleepy);
  },
  LONG_MS,
);

test.concurrent(
  "frozen with a statement running: the server commits what it has, each with its row, and nobody waits for the runner",
  async () => {
    const { url } = await servers.postgres.createDatabase();
    const frozen = start(UP, withUrl(url));
    await untilAsleep(url);
    frozen.kill("SIGSTOP");
    const next = await headgate(UP, withUrl(url));
    expect([next.status, [...appliers([next]).keys()]]).toEqual([0, []]);
    frozen.kill("SIGCONT");
    const run = await frozen.done;
    expect([run.status, [...appliers([run]).keys()]]).toEqual([0, [1, 2, 3]]);
    await expectConverged(url, sleepy);
  },
  LONG_MS,
);

test.concurrent(
  "silent for good: a body ends at --deadline, and nothing of it stays",
  async () => {
    const { url } = await servers.postgres.createDatabase();
    const relay = await openRelay(servers.postgres);
    const cutOff = start([...UP, "--deadline", "6s"], withUrl(through(relay, url)));
    await untilAsleep(url);
    relay.silence();
    const run = await cutOff.done;
    expect([run.status, lastWords(run).reason]).toEqual([
      6,
      expect.stringContaining("--deadline has passed"),
    ]);
    await relay.close();
    await untilUnlocked(url, SOON_MS);
    await expectConverged(url, sleepy);
  },
  LONG_MS,
);

test.concurrent(
  "silent between two questions: our own deadline ends the wait, and a new connection gets on",
  async () => {
    const { url } = await servers.postgres.createDatabase();
    const relay = await openRelay(servers.postgres);
    const holder = await holdGate(url);
    const runner = start(UP, withUrl(through(relay, url)));
    while (relay.silence("pg_try_advisory_xact_lock") === 0) await Bun.sleep(20);
    await holder.release();
    const run = await runner.done;
    await relay.close();
    expect(run.status).toBe(0);
    expect(eventOf(run, "connection.lost")?.["reason"]).toContain("no answer within 20000 ms");
    await expectConverged(url, sleepy);
  },
  LONG_MS,
);

test.concurrent(
  "silent on the connection that shows life: the work is given up within two beats, and found again",
  async () => {
    const { url } = await servers.postgres.createDatabase();
    const relay = await openRelay(servers.postgres);
    const snapshot = await holdSnapshot(url);
    const runner = start(BUILD_UP, withUrl(through(relay, url)));
    await untilBuilding(url);
    const [silent] = await query(url, "select clock_timestamp()::text as at");
    expect(relay.silence(keyArguments(runKey(LEDGER)))).toBe(1);
    // The runner is back, and waits for what its first connections left; its short looks do not count.
    await until(
      url,
      `select from pg_stat_activity where datname = current_database()
and application_name = 'headgate' and backend_start > '${silent?.["at"]}'
and backend_start < clock_timestamp() - interval '2 s'`,
      60_000,
    );
    await snapshot.release();
    const run = await runner.done;
    await relay.close();
    expect(run.status).toBe(0);
    expect(eventOf(run, "connection.lost")?.["reason"]).toContain(
      "the connection that shows we live was lost: no answer within 5000 ms",
    );
    expect([await witnesses(url), await indexState(url)]).toEqual([1, "valid"]);
    await untilUnlocked(url, SOON_MS);
  },
  LONG_MS,
);

/** Between a container and its clients stands an address translation. */
const mayCut = (): boolean => servers.substrate.kind === "local" && canCutNetwork();

/** What lets a server find out that a peer is gone which has not said so. */
const NO_KEEPALIVE: Mutation = {
  file: "db/gate-settings.ts",
  find: 'tcp_keepalives_idle: "10"',
  replace: 'tcp_keepalives_idle: "7200"',
};

/** Cuts the line of a runner whose statement would take minutes. */
async function cutAsleep(
  url: string,
  options: Pick<RunOptions, "binary"> = {},
): Promise<Started & { readonly dir: string; heal(): void }> {
  await query(url, "create table pace (seconds int); insert into pace values (200)");
  const dir = sleepyFolder("(select seconds from pace)");
  const runner = start(["up", "--dir", dir], { ...withUrl(url), ...options });
  await untilAsleep(url);
  await query(url, "update pace set seconds = 0");
  const [row] = await query(url, `select client_port as port ${ASLEEP}`);
  return { ...runner, dir, ...cutNetwork(Number(row?.["port"])) };
}

test.concurrent(
  "cut off with a statement running: keepalives free the gate, and the runner comes back (local, root with iptables)",
  async () => {
    const { url } = await servers.postgres.createDatabase();
    if (!mayCut()) return expect(mayCut()).toBe(false);
    const runner = await cutAsleep(url);
    await until(url, `select where not exists (select ${ASLEEP})`, HALF_A_MINUTE_CEILING_MS);
    const run = await runner.done;
    runner.heal();
    expect([run.status, eventOf(run, "connection.lost")]).toEqual([0, expect.anything()]);
    // The driver's own keepalive would need 70 s.
    expect(run.wallMs).toBeLessThan(60_000);
    await expectConverged(url, runner.dir);
  },
  LONG_MS,
);

test.concurrent(
  "without keepalives, a cut runner's statement runs on (local, root with iptables)",
  async () => {
    const { url } = await servers.postgres.createDatabase();
    if (!mayCut()) return expect(mayCut()).toBe(false);
    await withMutant([NO_KEEPALIVE], async (mutant) => {
      const runner = await cutAsleep(url, mutant);
      await Bun.sleep(40_000);
      expect(await query(url, `select pg_terminate_backend(pid) ${ASLEEP}`)).toHaveLength(1);
      expect((await runner.done).status).toBe(0);
      runner.heal();
    });
  },
  LONG_MS,
);
