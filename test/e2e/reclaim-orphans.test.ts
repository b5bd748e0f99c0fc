/**
 * `up` in front of a session-level, idle holder of the lock that it joins: reported at once, and
 * ended only when an age was asked for, was reached, and nothing happened on that session. The
 * scenarios of one binary run at once, because each one waits for ten seconds of samples.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { loadTargets } from "../../src/config/connection-settings.ts";
import { stepKey } from "../../src/core/gate-key.ts";
import { classifyLocks, type Lock } from "../../src/core/locks.ts";
import { openConnection } from "../../src/db/connection.ts";
import { readLocks } from "../../src/db/locks.ts";
import { type Termination, terminateHolder } from "../../src/db/terminate.ts";
import { migrationFolder } from "../support/folder.ts";
import { eventOf, headgate, type Run, start, withUrl } from "../support/headgate.ts";
import { buildMutant, type Mutation } from "../support/mutant.ts";
import { type Held, hold, query } from "../support/query.ts";
import { aftermath, appliers, witnessMigrations } from "../support/race.ts";
import type { Database, Pgbouncer } from "../support/substrate.ts";
import { useServers } from "../support/use-servers.ts";

const LOCK = "42424242424242";
const WORDS =
  "session-level and idle: an orphan or an idle living holder, which SQL cannot tell apart";
const RACERS = 6;
const UP = ["up", "--dir", migrationFolder(witnessMigrations(3)), "--lock-id", LOCK];

const servers = useServers({ poolSize: 3 });

/** A session lock whose client has gone, on a server session that the pooler keeps. */
async function leaveOrphan(database: Database, pool: Pgbouncer = servers.pool): Promise<Held> {
  const left = await hold(pool.urlOf(database), `select pg_advisory_lock(${LOCK})`);
  await left.end();
  return { pid: await holderOf(database), end: async () => undefined };
}

async function holderOf({ url }: Database): Promise<number> {
  const [row] = await query(
    url,
    "select pid from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())",
  );
  return Number(row?.["pid"]);
}

async function isThere({ url }: Database, pid: number): Promise<boolean> {
  return (await query(url, `select from pg_stat_activity where pid = ${pid}`)).length === 1;
}

function namesOf(runs: readonly Run[], name: string): readonly Run["events"][number][] {
  return runs.flatMap(({ events }) => events.filter(({ event }) => event === name));
}

/** A living client: a statement again and again, until it is told to stop. */
async function keepBusy(url: string, pauseMs: number): Promise<Held> {
  const { default: postgres } = await import("postgres");
  const sql = postgres(url, { max: 1, prepare: false, onnotice() {} });
  await sql.unsafe(`select pg_advisory_lock(${LOCK})`);
  const [row] = await sql.unsafe("select pg_backend_pid() as pid");
  let isOver = false;
  const busy = (async () => {
    while (!isOver) {
      await sql.unsafe("select 1").catch(() => undefined);
      await Bun.sleep(pauseMs);
    }
  })();
  const end = async (): Promise<void> => {
    isOver = true;
    await busy;
    await sql.end({ timeout: 1 });
  };
  return { pid: Number(row?.["pid"]), end };
}

describe("without --reclaim-orphans", () => {
  test("an idle holder is named at once, with the next step, and stays", async () => {
    const database = await servers.postgres.createDatabase();
    const held = await hold(database.url, `select pg_advisory_lock(${LOCK})`);
    const run = await headgate([...UP, "--lock-wait", "300ms"], withUrl(database.url));
    expect(run.status).toBe(6);
    const suspected = namesOf([run], "orphan.suspected");
    expect(suspected).toMatchObject([
      { holder_pid: held.pid, holder_age_ms: expect.any(Number), level: "warn" },
    ]);
    expect(suspected[0]?.["msg"]).toContain(WORDS);
    expect(suspected[0]?.["holder_address"]).toMatch(/:\d+$/);
    expect(suspected[0]?.["holder_application"]).toBe("postgres.js");
    for (const step of ["headgate locks", `release ${held.pid}`, "--reclaim-orphans"]) {
      expect(suspected[0]?.["hint"]).toContain(step);
    }
    expect(eventOf(run, "command.failed")?.["reason"]).toContain(WORDS);
    expect(await isThere(database, held.pid)).toBe(true);
    await held.end();
  });

  test("nor is a holder that is in a transaction suspected", async () => {
    const database = await servers.postgres.createDatabase();
    const held = await hold(database.url, `begin; select pg_advisory_xact_lock(${LOCK})`);
    const run = await headgate([...UP, "--lock-wait", "300ms"], withUrl(database.url));
    expect(run.status).toBe(6);
    expect(eventOf(run, "orphan.suspected")).toBeUndefined();
    expect(run.stderr).not.toContain(WORDS);
    await held.end();
  });

  test("a lock on the very session that a pooler lends to up keeps it out all the same", async () => {
    const database = await servers.postgres.createDatabase();
    const { pid } = await leaveOrphan(database);
    const pooled = servers.pool.urlOf(database);
    const run = await headgate([...UP, "--lock-wait", "1s"], withUrl(pooled));
    expect(run.status).toBe(6);
    expect(eventOf(run, "orphan.suspected")).toMatchObject({ holder_pid: pid });
    expect(eventOf(run, "command.failed")?.["reason"]).toContain(WORDS);
    expect(await isThere(database, pid)).toBe(true);
    await query(database.url, `select pg_terminate_backend(${pid})`);
  });
});

/** Through the gate with an age that is reached at once, and time enough for the samples. */
const RECLAIM = [...UP, "--reclaim-orphans", "1ms", "--lock-wait"];
/** Slower than the age, faster than the samples. */
const BUSY_PAUSE_MS = 1500;

type Scenario =
  | "pooled"
  | "direct"
  | "own"
  | "busy"
  | "busyPooled"
  | "young"
  | "elsewhere"
  | "lonely";

interface Outcome {
  readonly runs: readonly Run[];
  readonly isHolderThere: boolean;
  readonly pid: number;
  readonly url: string;
}

/** Lets runners meet a holder. */
async function meet(
  holder: (database: Database) => Promise<Held>,
  runners: (database: Database) => readonly Promise<Run>[],
): Promise<Outcome> {
  const database = await servers.postgres.createDatabase();
  const held = await holder(database);
  const runs = await Promise.all(runners(database));
  const isHolderThere = await isThere(database, held.pid);
  await held.end();
  return { runs, isHolderThere, pid: held.pid, url: database.url };
}

const idle = ({ url }: Database): Promise<Held> => hold(url, `select pg_advisory_lock(${LOCK})`);
const up = (args: readonly string[], url: string, binary?: string): Promise<Run> =>
  start(args, { ...withUrl(url), ...(binary === undefined ? {} : { binary }) }).done;

describe("with --reclaim-orphans", () => {
  let met: Readonly<Record<Scenario, Outcome>>;
  beforeAll(async () => {
    const { namespace, ledger } = stepKey({ schema: "public", table: "headgate_migrations" });
    const single = await servers.substrate.pgbouncer(servers.postgres, { poolSize: 1 });
    const [pooled, direct, own, busy, busyPooled, young, elsewhere, lonely] = await Promise.all([
      meet(
        (database) => leaveOrphan(database),
        (database) =>
          Array.from({ length: RACERS }, () =>
            up([...RECLAIM, "60s"], servers.pool.urlOf(database)),
          ),
      ),
      meet(idle, ({ url }) => [1, 2].map(() => up([...RECLAIM, "60s"], url))),
      meet(
        ({ url }) => hold(url, `select pg_advisory_lock(${namespace}, ${ledger})`),
        ({ url }) => [up([...RECLAIM, "60s"], url)],
      ),
      meet(
        ({ url }) => keepBusy(url, BUSY_PAUSE_MS),
        ({ url }) => [up([...RECLAIM, "4s"], url)],
      ),
      meet(
        (database) => keepBusy(servers.pool.urlOf(database), BUSY_PAUSE_MS),
        (database) => [up([...RECLAIM, "4s"], servers.pool.urlOf(database))],
      ),
      meet(idle, ({ url }) => [up([...UP, "--reclaim-orphans", "1h", "--lock-wait", "1s"], url)]),
      meet(
        ({ url }) => hold(url, "select pg_advisory_lock(7)"),
        ({ url }) => [up([...RECLAIM, "1s"], url)],
      ),
      meet(
        (database) => leaveOrphan(database, single),
        (database) => [up([...RECLAIM, "5s"], single.urlOf(database))],
      ),
    ]);
    met = { pooled, direct, own, busy, busyPooled, young, elsewhere, lonely };
  }, 120_000);

  test("six runners through the pooler end a real orphan once, and reach head once", async () => {
    const { runs, isHolderThere, pid, url } = met.pooled;
    expect(runs.map(({ status }) => status)).toEqual(Array(RACERS).fill(0));
    expect(namesOf(runs, "orphan.reclaimed")).toMatchObject([{ holder_pid: pid }]);
    expect(isHolderThere).toBe(false);
    expect([...appliers(runs).values()]).toEqual([1, 1, 1]);
    expect(await aftermath(url)).toMatchObject({ applied: [1, 2, 3], advisoryLocks: 0 });
  });

  test("two runners past a pooler do the same, and say what it may have been", async () => {
    const { runs, isHolderThere, pid } = met.direct;
    expect(runs.map(({ status }) => status)).toEqual([0, 0]);
    expect(namesOf(runs, "orphan.reclaimed")).toMatchObject([{ holder_pid: pid }]);
    expect(isHolderThere).toBe(false);
    for (const { hint } of namesOf(runs, "orphan.suspected")) {
      expect(hint).toContain("although it may be a living migrator");
    }
  });

  test("a session-level holder of the gate's own key is a foreigner, and ended too", () => {
    const { runs, isHolderThere } = met.own;
    expect(runs[0]?.status).toBe(0);
    expect(namesOf(runs, "orphan.reclaimed")[0]?.["lock"]).toBe("the gate");
    expect(isHolderThere).toBe(false);
  });

  test.each(["busy", "busyPooled"] as const)(
    "a holder that works now and then stays: %s",
    (way) => {
      const { runs, isHolderThere } = met[way];
      expect(runs.map(({ status }) => status)).toEqual([6]);
      expect(namesOf(runs, "orphan.reclaimed")).toEqual([]);
      expect(isHolderThere).toBe(true);
    },
  );

  test("the samples saw it", () => {
    const spared = namesOf(met.busy.runs, "orphan.spared");
    expect(spared[0]?.["reason"]).toMatch(/did something between two samples|it works/);
  });

  test("an age that is not reached ends nobody", () => {
    expect(met.young.runs[0]?.status).toBe(6);
    expect(met.young.isHolderThere).toBe(true);
  });

  test("another key's holder is nobody's business", () => {
    expect(met.elsewhere.runs[0]?.status).toBe(0);
    expect(met.elsewhere.isHolderThere).toBe(true);
  });

  test("through a pool of one nobody can watch, which is said with the next step", () => {
    const { runs, isHolderThere } = met.lonely;
    expect(runs[0]?.status).toBe(6);
    const [spared] = namesOf(runs, "orphan.spared");
    expect(spared?.["reason"]).toContain("no other server session");
    expect(spared?.["hint"]).toContain("MIGRATION_DATABASE_URL");
    expect(isHolderThere).toBe(true);
  });
});

describe("broken on purpose", () => {
  const hasty: Mutation = {
    file: "flow/reclaim.ts",
    find: "const SAMPLE_MS = 10_000",
    replace: "const SAMPLE_MS = 0",
  };
  const single: Mutation = {
    file: "flow/reclaim.ts",
    find: "const SAMPLES_MIN = 3",
    replace: "const SAMPLES_MIN = 1",
  };
  const ageless: Mutation = {
    file: "flow/holder-watch.ts",
    find: "nowMs - idleSinceMs < wish.reclaimAfterMs",
    replace: "false",
  };
  const trusting: Mutation = {
    file: "db/gate.ts",
    find: "l.pid = pg_backend_pid()",
    replace: "l.pid = 0",
  };
  let met: readonly Outcome[] = [];
  beforeAll(async () => {
    const all = [[hasty, single], [hasty, single, ageless], [trusting]];
    const mutants = await Promise.all(all.map((mutations) => buildMutant(...mutations)));
    const [sampleless, young, deaf] = mutants.map(({ binary }) => binary);
    met = await Promise.all([
      meet(
        ({ url }) => keepBusy(url, BUSY_PAUSE_MS),
        ({ url }) => [up([...RECLAIM, "30s"], url, sampleless)],
      ),
      meet(idle, ({ url }) => [
        up([...UP, "--reclaim-orphans", "1h", "--lock-wait", "1s"], url, young),
      ]),
      meet(
        (database) => leaveOrphan(database),
        (database) => [up([...UP, "--lock-wait", "2s"], servers.pool.urlOf(database), deaf)],
      ),
    ]);
    for (const { remove } of mutants) remove();
  }, 120_000);

  test("without samples a living holder is ended", () => {
    expect(namesOf(met[0]?.runs ?? [], "orphan.reclaimed")).toHaveLength(1);
    expect(met[0]?.isHolderThere).toBe(false);
  });

  test("without the age a holder is ended that has just begun to idle", () => {
    expect(met[1]?.isHolderThere).toBe(false);
  });

  test("without the look at its own session up joins a lock that another client holds", () => {
    expect(met[2]?.runs[0]?.status).toBe(0);
    expect(met[2]?.isHolderThere).toBe(true);
  });
});

describe("terminateHolder()", () => {
  test("ends nobody whose session is not the one that was looked at", async () => {
    const { url } = await servers.postgres.createDatabase();
    const held = await hold(url, `select pg_advisory_lock(${LOCK})`);
    const connection = openConnection({
      target: loadTargets({ env: { DATABASE_URL: url }, readFile: () => undefined, flags: {} })
        .main,
      applicationName: "test",
      connectTimeoutMs: 5000,
    });
    const place = { schema: "public", table: "headgate_migrations" };
    const scope = { place, database: "", lockId: BigInt(LOCK) };
    const [holder] = classifyLocks(await readLocks(connection, place), scope);
    const end = (changes: Partial<Lock>): Promise<Termination> =>
      terminateHolder(connection, place, {
        holder: { ...(holder as Lock), ...changes },
        isForced: false,
      });
    expect(await end({ backendStart: "1.5" })).toBe("changed");
    expect(await end({ stateChange: "1.5" })).toBe("changed");
    expect(await end({ key: { kind: "bigint", value: 7n } })).toBe("changed");
    expect(await end({})).toBe("ended");
    expect(await end({})).toBe("changed");
    await connection.close();
    await held.end();
  });
});
