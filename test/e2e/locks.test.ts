/**
 * `locks` names everybody who holds or waits, and only reads. `locks release` ends an idle session
 * lock after a confirmation, and nobody who lives.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { advisoryKey, renderKey } from "../../src/core/advisory-key.ts";
import { runKey, stepKey } from "../../src/core/gate-key.ts";
import {
  BINARY,
  eventOf,
  headgate,
  type Run,
  type RunOptions,
  withUrl,
} from "../support/headgate.ts";
import { holdGate, holdOpen } from "../support/lock-holder.ts";
import { buildMutant } from "../support/mutant.ts";
import { hold, query, until } from "../support/query.ts";
import type { Database } from "../support/substrate.ts";
import { useServers } from "../support/use-servers.ts";

const GATEWAY_KEY = "42424242424242";
const PLACE = { schema: "public", table: "headgate_migrations" };
const FAST = ["--sample", "300ms"];

const servers = useServers({ poolSize: 2 });

interface LockJson {
  readonly kind: string;
  readonly key: string | null;
  readonly tool: string | null;
  readonly pid: number | null;
  readonly granted: boolean;
  readonly prepared: string | null;
  readonly session_level_and_idle: boolean;
  readonly level: string;
  readonly application: string | null;
  readonly address: string | null;
  readonly state: string | null;
  readonly run: string | null;
  readonly statement: string | null;
  readonly blocked_by: readonly number[];
}

async function locksOf(url: string, ...args: readonly string[]): Promise<readonly LockJson[]> {
  const run = await headgate(["locks", "--json", ...args], withUrl(url));
  expect(run.status).toBe(0);
  return (JSON.parse(run.stdout) as { locks: LockJson[] }).locks;
}

const text = async (url: string): Promise<string> =>
  (await headgate(["locks"], withUrl(url))).stdout;

const release = (url: string, pid: number, args: readonly string[], options: RunOptions = {}) =>
  headgate(["locks", "release", String(pid), ...FAST, ...args], { ...withUrl(url), ...options });

async function isThere(url: string, pid: number): Promise<boolean> {
  return (await query(url, `select from pg_stat_activity where pid = ${pid}`)).length === 1;
}

/** A lock of another tool whose client has gone, on a server session that the pooler keeps. */
async function leaveOrphan(database: Database): Promise<number> {
  const left = await hold(servers.pool.urlOf(database), `select pg_advisory_lock(${GATEWAY_KEY})`);
  await left.end();
  const [row] = await query(
    database.url,
    "select pid from pg_locks where locktype = 'advisory' and granted and database = (select oid from pg_database where datname = current_database())",
  );
  return Number(row?.["pid"]);
}

describe("locks", () => {
  test("says that nobody holds the gate, and creates nothing", async () => {
    const { url } = await servers.postgres.createDatabase();
    expect(await text(url)).toContain(
      'Gate of ledger "public"."headgate_migrations" in database db_',
    );
    expect(await text(url)).toContain("nobody holds or waits for it");
    expect(await locksOf(url)).toEqual([]);
    expect(await query(url, "select from pg_class where relname = 'headgate_migrations'")).toEqual(
      [],
    );
  });

  test("names the holder of the gate, and who waits for it", async () => {
    const { url } = await servers.postgres.createDatabase();
    const holder = await holdGate(url);
    const { namespace, ledger } = stepKey(PLACE);
    const waiter = holdOpen(url, `select pg_advisory_xact_lock(${namespace}, ${ledger})`);
    await until(url, "select from pg_locks where locktype = 'advisory' and not granted");
    const [first, second] = await locksOf(url);
    expect(first).toMatchObject({
      kind: "step",
      pid: holder.pid,
      granted: true,
      session_level_and_idle: false,
      state: "idle in transaction",
      blocked_by: [],
    });
    expect(first?.statement).toContain("pg_advisory_xact_lock");
    expect(first?.address).toMatch(/:\d+$/);
    expect(second).toMatchObject({ kind: "step", granted: false, blocked_by: [holder.pid] });
    expect(await text(url)).toContain(`waits for pid ${holder.pid}`);
    await holder.release();
    await (await waiter).release();
  });

  test("names the run of a headgate, the key of --lock-id, K_RUN and the ledger's table", async () => {
    const { url } = await servers.postgres.createDatabase();
    await query(url, "create table headgate_migrations (x int)");
    const { namespace, ledger } = runKey(PLACE);
    const run = "11111111-2222-3333-4444-555555555555";
    const runner = await holdOpen(
      url,
      `/* headgate:${run} */ select pg_advisory_xact_lock(${namespace}, ${ledger})`,
    );
    const table = await holdOpen(url, "lock table headgate_migrations in share mode");
    const own = await hold(url, "select pg_advisory_lock(-7)");
    const locks = await locksOf(url, "--lock-id", "-7");
    expect(locks.map(({ kind, pid }) => [kind, pid])).toEqual([
      ["run", runner.pid],
      ["ledger", table.pid],
      ["lock-id", own.pid],
    ]);
    expect(locks[0]?.run).toBe(run);
    expect(locks[2]?.key).toBe("-7");
    await runner.release();
    await table.release();
    await own.end();
  });

  test("recognises other tools' keys, and lists unknown ones", async () => {
    const database = await servers.postgres.createDatabase();
    const { url, name } = database;
    const held = await hold(
      url,
      `select pg_advisory_lock(${GATEWAY_KEY}), pg_advisory_lock(72707369), pg_advisory_lock(4097083626),
pg_advisory_lock(2053462845 * (${Bun.hash.crc32(name)})::bigint), pg_advisory_lock(99), pg_advisory_lock(-1, 2)`,
    );
    const tools = (await locksOf(url)).map(({ kind, key, tool }) => `${kind} ${key} ${tool}`);
    expect(tools.sort()).toEqual(
      [
        `tool ${GATEWAY_KEY} the gateway's Alembic bootstrap`,
        "tool 72707369 Prisma Migrate",
        "tool 4097083626 goose",
        `tool ${2053462845n * BigInt(Bun.hash.crc32(name))} Rails`,
        "unknown 99 null",
        "unknown (-1, 2) null",
      ].sort(),
    );
    expect(await text(url)).toContain("advisory lock 99 (unknown)");
    await held.end();
  });

  test("shows no password of another client's statement", async () => {
    const { url } = await servers.postgres.createDatabase();
    const holder = await holdOpen(
      url,
      "select pg_advisory_xact_lock(5) /* alter role x PASSWORD 's3cr3t' */",
    );
    const [lock] = await locksOf(url);
    await holder.release();
    expect(lock?.statement).toBe("select pg_advisory_xact_lock(5) /* alter role x PASSWORD …");
  });

  test("does not list another database's locks", async () => {
    const { url } = await servers.postgres.createDatabase();
    const held = await hold(
      (await servers.postgres.createDatabase()).url,
      "select pg_advisory_lock(1)",
    );
    expect(await locksOf(url)).toEqual([]);
    await held.end();
  });

  test("lists an orphan behind a transaction pool, asked past it and through it", async () => {
    const database = await servers.postgres.createDatabase();
    const pid = await leaveOrphan(database);
    const [direct] = await locksOf(database.url);
    expect(direct).toMatchObject({ pid, key: GATEWAY_KEY, session_level_and_idle: true });
    expect(direct?.level).toBe(
      "session-level and idle: an orphan or an idle living holder, which SQL cannot tell apart",
    );
    // Its idle session is the one that the pooler lends to the next client: to us.
    const [pooled] = await locksOf(servers.pool.urlOf(database));
    expect(pooled).toMatchObject({ pid, key: GATEWAY_KEY });
    expect(pooled?.level).toStartWith("session-level");
    await query(database.url, `select pg_terminate_backend(${pid})`);
  });
});

describe("a prepared transaction", () => {
  test("that holds the gate is named by its gid", async () => {
    const substrate = servers.substrate;
    const server = await substrate.postgres({ settings: { max_prepared_transactions: "4" } });
    const { url } = await server.createDatabase();
    const { namespace, ledger } = stepKey(PLACE);
    await query(
      url,
      `begin; select pg_advisory_xact_lock(${namespace}, ${ledger}); prepare transaction 'left over'`,
    );
    const [lock] = await locksOf(url);
    expect(lock).toMatchObject({ kind: "step", pid: null, prepared: "left over", granted: true });
    expect(await text(url)).toContain("prepared transaction left over holds the gate");
    await server.stop();
  }, 120_000);
});

describe("locks release", () => {
  test("ends an orphan, asked past the pooler", async () => {
    const database = await servers.postgres.createDatabase();
    const pid = await leaveOrphan(database);
    const run = await release(database.url, pid, ["--yes"]);
    expect(run.status).toBe(0);
    expect(run.stdout).toBe(
      `Ended pid ${pid}, which held advisory lock ${GATEWAY_KEY} (the gateway's Alembic bootstrap)\n`,
    );
    expect(eventOf(run, "lock.released")).toMatchObject({ level: "warn", holder_pid: pid });
    expect(await locksOf(database.url)).toEqual([]);
  });

  test("ends an orphan, asked through the pooler that lends its session to the question", async () => {
    const database = await servers.postgres.createDatabase();
    const pid = await leaveOrphan(database);
    const run = await release(servers.pool.urlOf(database), pid, ["--yes"]);
    expect(run.stderr).not.toContain("command.failed");
    expect(run.status).toBe(0);
    expect(await locksOf(database.url)).toEqual([]);
    expect(await query(servers.pool.urlOf(database), "select 1 as n")).toEqual([{ n: 1 }]);
  });

  test("through a pooler of one session it leaves the orphan alone and says why", async () => {
    const database = await servers.postgres.createDatabase();
    const pool = await servers.substrate.pgbouncer(servers.postgres, { poolSize: 1 });
    const left = await hold(pool.urlOf(database), "select pg_advisory_lock(5)");
    await left.end();
    const [row] = await query(
      database.url,
      "select pid from pg_locks where locktype = 'advisory' and objid = 5",
    );
    const pid = Number(row?.["pid"]);
    const run = await release(pool.urlOf(database), pid, ["--yes"]);
    expect(run.status).toBe(4);
    expect(eventOf(run, "command.failed")?.["hint"]).toContain("MIGRATION_DATABASE_URL");
    expect(await isThere(database.url, pid)).toBe(true);
    const past = {
      env: { DATABASE_URL: pool.urlOf(database), MIGRATION_DATABASE_URL: database.url },
    };
    expect((await release("", pid, ["--yes"], past)).status).toBe(0);
    await pool.stop();
  }, 30_000);

  test("without a terminal and without --yes ends nobody, and shows the holder", async () => {
    const database = await servers.postgres.createDatabase();
    const pid = await leaveOrphan(database);
    const run = await release(database.url, pid, []);
    expect(run.status).toBe(2);
    expect(eventOf(run, "command.failed")?.["reason"]).toContain(`pid ${pid} holds advisory lock`);
    expect(await isThere(database.url, pid)).toBe(true);
    await query(database.url, `select pg_terminate_backend(${pid})`);
  });

  test("ends a living idle session holder too, once confirmed: SQL cannot tell it apart", async () => {
    const { url } = await servers.postgres.createDatabase();
    const living = await hold(url, "select pg_advisory_lock(5)");
    const [lock] = await locksOf(url);
    expect(lock).toMatchObject({ pid: living.pid, session_level_and_idle: true });
    expect((await release(url, living.pid, [])).status).toBe(2);
    expect(await isThere(url, living.pid)).toBe(true);
    expect((await release(url, living.pid, ["--yes"])).status).toBe(0);
    expect(await isThere(url, living.pid)).toBe(false);
    await living.end();
  });

  test("refuses a holder in a transaction, and ends it only by --force", async () => {
    const { url } = await servers.postgres.createDatabase();
    const holder = await hold(
      url,
      `begin; select pg_advisory_xact_lock(${stepKey(PLACE).namespace}, ${stepKey(PLACE).ledger})`,
    );
    const run = await release(url, holder.pid, ["--yes"]);
    expect(run.status).toBe(4);
    expect(eventOf(run, "command.failed")).toMatchObject({ code: "refused" });
    expect(await isThere(url, holder.pid)).toBe(true);
    expect((await release(url, holder.pid, ["--yes", "--force"])).status).toBe(0);
    expect(await isThere(url, holder.pid)).toBe(false);
    await holder.end();
  });

  test("refuses a holder that is at work", async () => {
    const { url } = await servers.postgres.createDatabase();
    const active = hold(url, "select pg_advisory_lock(6), pg_sleep(4)");
    await until(url, "select from pg_locks where locktype = 'advisory' and objid = 6");
    const [row] = await query(
      url,
      "select pid from pg_locks where locktype = 'advisory' and objid = 6",
    );
    expect((await release(url, Number(row?.["pid"]), ["--yes"])).status).toBe(4);
    await (await active).end();
  }, 30_000);

  test("refuses what does something between two samples", async () => {
    const { url } = await servers.postgres.createDatabase();
    const run = await releaseWhileBusy(url, BINARY);
    expect(run.status).toBe(4);
    expect(eventOf(run, "command.failed")?.["reason"]).toMatch(
      /between|in a transaction|its state/,
    );
  }, 30_000);

  test("refuses a pid that waits, holds nothing, or is nobody's", async () => {
    const { url } = await servers.postgres.createDatabase();
    const holder = await hold(url, "select 1");
    const run = await release(url, holder.pid, ["--yes", "--force"]);
    expect(run.status).toBe(4);
    expect(await isThere(url, holder.pid)).toBe(true);
    expect((await release(url, 2_000_000_000, ["--yes"])).status).toBe(4);
    await holder.end();
  });

  test("asks on a terminal: no keeps the session, yes ends it", async () => {
    const { url } = await servers.postgres.createDatabase();
    const living = await hold(url, "select pg_advisory_lock(5)");
    const no = await onTerminal(url, living.pid, "no");
    expect(no.screen).toContain("End this session?");
    expect(no.screen).toContain("which SQL cannot tell apart");
    expect(no.status).toBe(4);
    expect(await isThere(url, living.pid)).toBe(true);
    const yes = await onTerminal(url, living.pid, "yes");
    expect(yes.status).toBe(0);
    expect(await isThere(url, living.pid)).toBe(false);
    await living.end();
  }, 30_000);

  test("another role's session is exit 7, and says what to grant", async () => {
    const { url } = await servers.postgres.createDatabase();
    const role = await servers.postgres.createRole();
    const held = await hold(url, "select pg_advisory_lock(5)");
    const own = new URL(url);
    own.username = role.user;
    own.password = role.password;
    const refused = await release(own.href, held.pid, ["--yes"]);
    expect(refused.status).toBe(4);
    const run = await release(own.href, held.pid, ["--yes", "--force"]);
    expect(run.status).toBe(7);
    expect(eventOf(run, "command.failed")?.["hint"]).toContain("pg_signal_backend");
    expect(await isThere(url, held.pid)).toBe(true);
    await held.end();
  });
});

/** A holder that asks something again and again, while it is to be released. */
async function releaseWhileBusy(url: string, binary: string): Promise<Run> {
  const { default: postgres } = await import("postgres");
  const sql = postgres(url, { max: 1, prepare: false });
  await sql.unsafe("select pg_advisory_lock(5)");
  const [row] = await sql.unsafe("select pg_backend_pid() as pid");
  let isOver = false;
  const busy = (async () => {
    while (!isOver) {
      await sql.unsafe("select 1").catch(() => undefined);
      await Bun.sleep(20);
    }
  })();
  const run = await release(url, Number(row?.["pid"]), ["--yes"], { binary });
  isOver = true;
  await busy;
  await sql.end({ timeout: 1 });
  return run;
}

async function onTerminal(
  url: string,
  pid: number,
  answer: string,
): Promise<{ readonly status: number; readonly screen: string }> {
  let screen = "";
  const child = Bun.spawn([BINARY, "locks", "release", String(pid), ...FAST], {
    env: { DATABASE_URL: url },
    terminal: {
      data: (terminal, data) => {
        screen += new TextDecoder().decode(data);
        if (screen.endsWith("[yes/no] ")) terminal.write(`${answer}\n`);
      },
    },
  });
  await child.exited;
  return { status: child.exitCode ?? -1, screen };
}

describe("without the samples and the guard, the same test is red", () => {
  let mutant: Awaited<ReturnType<typeof buildMutant>>;
  beforeAll(async () => {
    mutant = await buildMutant(
      {
        file: "core/locks.ts",
        find: "if (now.backendStart !== first.backendStart)",
        replace:
          "if (now.isGranted) return undefined;\n  if (now.backendStart !== first.backendStart)",
      },
      {
        file: "db/terminate.ts",
        find: "($3::boolean or a.state",
        replace: "(true or $3::boolean or a.state",
      },
      {
        file: "db/terminate.ts",
        find: "($3::boolean or l.virtual",
        replace: "(true or $3::boolean or l.virtual",
      },
    );
  }, 60_000);
  afterAll(() => mutant.remove());

  test("a busy session is ended", async () => {
    const { url } = await servers.postgres.createDatabase();
    expect((await releaseWhileBusy(url, mutant.binary)).status).toBe(0);
  }, 30_000);
});

test("keys are put together as the server splits them", async () => {
  const { url } = await servers.postgres.createDatabase();
  const keys = ["42424242424242", "-1", "9223372036854775807", "-9223372036854775808", "0"];
  const list = keys.map((key) => `pg_advisory_lock((${key})::bigint)`).join(", ");
  const held = await hold(url, `select ${list}`);
  const rows = await query(
    url,
    "select classid::bigint as c, objid::bigint as o, objsubid as s from pg_locks where locktype = 'advisory'",
  );
  const seen = rows.map((row) =>
    renderKey(advisoryKey(Number(row["c"]), Number(row["o"]), Number(row["s"]))),
  );
  expect(seen.sort()).toEqual([...keys].sort());
  await held.end();
});
