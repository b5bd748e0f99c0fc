/**
 * Somebody else has the gate. At head nobody waits for it; with something pending the wait is
 * bounded and names the holder. The seconds here are ceilings against hanging, not speeds.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { migrationFolder } from "../support/folder.ts";
import { eventOf, headgate, type Run, type RunOptions, withUrl } from "../support/headgate.ts";
import { holdGate, holdOpen } from "../support/lock-holder.ts";
import { buildMutant } from "../support/mutant.ts";
import { query } from "../support/query.ts";
import { aftermath, witnessMigrations } from "../support/race.ts";
import { openRelay } from "../support/relay.ts";
import type { Database } from "../support/substrate.ts";
import { useServers } from "../support/use-servers.ts";

const CEILING_MS = 10_000;
const IDEMPOTENT_CEILING_MS = 3000;
const REPEATS = 10;
const dir = migrationFolder(witnessMigrations(3));
const UP = ["up", "--dir", dir];

const servers = useServers({ poolSize: 2 });

async function atHead(): Promise<Database> {
  const database = await servers.postgres.createDatabase();
  expect((await headgate(UP, withUrl(database.url))).status).toBe(0);
  return database;
}

describe("at head", () => {
  test("up through the pooler does not wait for a held gate, ten times", async () => {
    const database = await atHead();
    const holder = await holdGate(database.url);
    for (let i = 0; i < REPEATS; i += 1) {
      const run = await headgate(UP, withUrl(servers.pool.urlOf(database)));
      expect(run.status).toBe(0);
      expect(eventOf(run, "database.ready")?.["path"]).toBe("fast");
      expect(run.wallMs).toBeLessThan(CEILING_MS);
    }
    await holder.release();
  }, 60_000);

  test("a locked ledger does not stop it either", async () => {
    const database = await atHead();
    const holder = await holdOpen(
      database.url,
      "lock table headgate_migrations in share row exclusive mode",
    );
    expect((await headgate(UP, withUrl(database.url))).status).toBe(0);
    expect((await headgate(["probe", "--dir", dir], withUrl(database.url))).status).toBe(0);
    await holder.release();
  });

  test("up never tries the lock and leaves none", async () => {
    const database = await atHead();
    const { run, tries } = await countLockTries(database);
    expect(run.status).toBe(0);
    expect(run.wallMs).toBeLessThan(IDEMPOTENT_CEILING_MS);
    expect(tries).toBe(0);
    expect((await aftermath(database.url)).advisoryLocks).toBe(0);
  });
});

/** Runs `up` and counts on the wire how often it tried an advisory lock. */
async function countLockTries(
  database: Database,
  options: Pick<RunOptions, "binary"> = {},
): Promise<{ readonly run: Run; readonly tries: number }> {
  const relay = await openRelay(servers.postgres);
  const url = new URL(database.url);
  url.host = `${relay.host}:${relay.port}`;
  const run = await headgate(UP, { ...withUrl(`${url.href}?sslmode=disable`), ...options });
  const tries = relay.queries().filter((text) => text.includes("pg_try_advisory")).length;
  await relay.close();
  return { run, tries };
}

describe("with the fast path disabled, the same two tests are red", () => {
  let mutant: Awaited<ReturnType<typeof buildMutant>>;
  beforeAll(async () => {
    mutant = await buildMutant(
      {
        file: "flow/up.ts",
        find: "return { isDone: true, isAtHead",
        replace: "return { isDone: false, isAtHead",
      },
      {
        file: "flow/up-task.ts",
        find: "isDone: isReady(state, request.policy)",
        replace: "isDone: false",
      },
    );
  }, 60_000);
  afterAll(() => mutant.remove());

  test("a held gate stops it, ten times of ten", async () => {
    const database = await atHead();
    const holder = await holdGate(database.url);
    for (let i = 0; i < REPEATS; i += 1) {
      const run = await headgate([...UP, "--lock-wait", "300ms"], {
        ...withUrl(database.url),
        binary: mutant.binary,
      });
      expect(run.status).toBe(6);
    }
    await holder.release();
  }, 60_000);

  test("the lock is tried, ten times of ten", async () => {
    const database = await atHead();
    for (let i = 0; i < REPEATS; i += 1) {
      const { tries } = await countLockTries(database, { binary: mutant.binary });
      expect(tries).toBeGreaterThan(0);
    }
  }, 60_000);
});

describe("with something pending", () => {
  test("a held gate ends in exit 6, naming pid, age, address and what to do", async () => {
    const database = await servers.postgres.createDatabase();
    const holder = await holdGate(database.url);
    const run = await headgate([...UP, "--lock-wait", "1s"], withUrl(servers.pool.urlOf(database)));
    await holder.release();
    expect(run.status).toBe(6);
    const failed = eventOf(run, "command.failed");
    expect(failed?.["reason"]).toContain(`pid ${holder.pid} holds the gate`);
    expect(failed?.["reason"]).toMatch(/for \d+ ms \(client [^,]+:\d+, role app/);
    expect(failed?.["hint"]).toContain("--lock-wait");
    expect(failed?.["hint"]).toContain(`pg_terminate_backend(${holder.pid})`);
  });

  test("a locked ledger ends in exit 6 too", async () => {
    const database = await atHead();
    const more = migrationFolder(witnessMigrations(4));
    const holder = await holdOpen(database.url, "lock table headgate_migrations in share mode");
    const run = await headgate(["up", "--dir", more, "--lock-wait", "1s"], withUrl(database.url));
    await holder.release();
    expect(run.status).toBe(6);
    expect((await headgate(["up", "--dir", more], withUrl(database.url))).status).toBe(0);
  }, 30_000);

  test("a runner that holds the gate is named by its run", async () => {
    const database = await servers.postgres.createDatabase();
    const slow = migrationFolder({ "1_slow.sql": "select pg_sleep(3)" });
    const first = headgate(["up", "--dir", slow], withUrl(database.url));
    await Bun.sleep(700);
    const second = await headgate(
      ["up", "--dir", slow, "--lock-wait", "500ms"],
      withUrl(database.url),
    );
    expect(second.status).toBe(6);
    expect(eventOf(second, "command.failed")?.["reason"]).toMatch(/run [0-9a-f-]{36}/);
    expect((await first).status).toBe(0);
  }, 30_000);

  test("a waiter says so, holds no transaction, and leaves as soon as head is reached", async () => {
    const database = await servers.postgres.createDatabase();
    const slow = migrationFolder({ "1_slow.sql": "select pg_sleep(2)" });
    const first = headgate(["up", "--dir", slow], withUrl(servers.pool.urlOf(database)));
    await Bun.sleep(500);
    const waiter = headgate(["up", "--dir", slow], withUrl(servers.pool.urlOf(database)));
    await Bun.sleep(800);
    const [idle] = await query(
      database.url,
      "select count(*)::int as n from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'",
    );
    expect(idle?.["n"]).toBe(0);
    const run = await waiter;
    expect(run.status).toBe(0);
    expect(eventOf(run, "gate.waiting")).toBeDefined();
    expect(eventOf(run, "database.ready")?.["path"]).toBe("fast");
    expect((await first).status).toBe(0);
  }, 30_000);

  test("a waiter reports at least every ten seconds, with the holder", async () => {
    const database = await servers.postgres.createDatabase();
    const holder = await holdGate(database.url);
    const run = await headgate([...UP, "--lock-wait", "13s"], withUrl(database.url));
    await holder.release();
    const reports = run.events.filter(({ event }) => event === "gate.waiting");
    expect(reports.length).toBeGreaterThanOrEqual(2);
    expect(reports.at(-1)?.["holder_pid"]).toBe(holder.pid);
    expect(Number(reports.at(-1)?.["waited_ms"])).toBeLessThan(12_000);
  }, 30_000);
});
