/**
 * First: does the substrate do what its interface says? Then: the facts about a transaction pooler that Headgate's
 * design rests on. If one of those ever differs, the design has lost a reason, and this says which.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import postgres from "postgres";
import {
  type Database,
  openSubstrate,
  type Pgbouncer,
  type PostgresServer,
  type Substrate,
} from "../support/substrate.ts";
import { createTlsFixture } from "../support/tls.ts";

const HANG_MS = 400;
const POLL_MS = 10;
const POLL_LIMIT_MS = 5_000;

let substrate: Substrate;
let server: PostgresServer;
let pooler: Pgbouncer;
let database: Database;

beforeAll(async () => {
  substrate = await openSubstrate();
  server = await substrate.postgres();
  pooler = await substrate.pgbouncer(server, { poolSize: 2 });
  database = await server.createDatabase();
  console.log(
    `substrate ${substrate.kind}: PostgreSQL ${server.version}, PgBouncer ${pooler.version}`,
  );
}, 60_000);

afterAll(async () => {
  await substrate?.close();
}, 60_000);

type TlsOption = NonNullable<Parameters<typeof postgres>[1]>["ssl"];

function connect(url: string, ssl?: TlsOption): postgres.Sql {
  const tls = ssl === undefined ? {} : { ssl };
  return postgres(url, { max: 1, prepare: false, connect_timeout: 5, onnotice() {}, ...tls });
}

/** Opens one connection, and closes it whatever happens: a leaked one would keep its lock into the next test. */
async function withConnection<T>(
  url: string,
  use: (sql: postgres.Sql) => Promise<T>,
  ssl?: TlsOption,
): Promise<T> {
  const sql = connect(url, ssl);
  try {
    return await use(sql);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

interface LockAttempt {
  readonly pid: number;
  readonly granted: boolean;
}

async function tryLock(sql: postgres.Sql, key: number): Promise<LockAttempt> {
  const [row] = await sql<LockAttempt[]>`
    select pg_backend_pid() as pid, pg_try_advisory_lock(${key}::int) as granted`;
  if (row === undefined) throw new Error("pg_try_advisory_lock answered nothing");
  return row;
}

/** Whether a new direct session is granted the lock. It ends at once, and with it the lock. */
async function isFree(key: number): Promise<boolean> {
  return withConnection(database.url, async (sql) => (await tryLock(sql, key)).granted);
}

async function eventually(condition: () => Promise<boolean>): Promise<boolean> {
  const deadlineMs = performance.now() + POLL_LIMIT_MS;
  while (performance.now() < deadlineMs) {
    if (await condition()) return true;
    await Bun.sleep(POLL_MS);
  }
  return false;
}

describe("the substrate", () => {
  test("answers directly and through the pooler", async () => {
    for (const url of [database.url, pooler.urlOf(database)]) {
      const [row] = await withConnection(url, (sql) => sql`select current_database() as name`);
      expect(row?.["name"]).toBe(database.name);
    }
  });

  test("refuses a session lock that another session holds, until that session ends", async () => {
    await withConnection(database.url, async (holder) => {
      expect((await tryLock(holder, 1)).granted).toBe(true);
      expect(await isFree(1)).toBe(false);
    });
    expect(await eventually(() => isFree(1))).toBe(true);
  });

  test("pools whoever the options name", async () => {
    const role = await server.createRole({ password: `quote " and '`, attributes: "createdb" });
    const own = await substrate.pgbouncer(server, { poolMode: "session", users: [role] });
    const url = new URL(own.urlOf(database));
    url.username = role.user;
    url.password = encodeURIComponent(role.password);
    const [row] = await withConnection(url.href, (sql) => sql`select current_user as name`);
    expect(row?.["name"]).toBe(role.user);
    await own.stop();
  });

  test("starts a second server with its own settings", async () => {
    const second = await substrate.postgres({ settings: { max_connections: "20" } });
    const other = await second.createDatabase();
    const [row] = await withConnection(other.url, (sql) => sql`show max_connections`);
    expect(row?.["max_connections"]).toBe("20");
    await second.stop();
    await second.stop(); // does nothing
  });

  test("hangs while paused, answers when resumed, breaks when killed, restarts on its port", async () => {
    const victim = await substrate.postgres();
    const target = await victim.createDatabase();
    const sql = connect(target.url);
    await sql`create table kept ()`;
    await victim.pause();
    const answer = sql`select 2 as value`.then(([row]) => row?.["value"]);
    expect(await Promise.race([answer, Bun.sleep(HANG_MS).then(() => "hangs")])).toBe("hangs");
    await victim.resume();
    expect(await answer).toBe(2);
    await victim.kill();
    const broken = await sql`select 3`.then(
      () => "answers",
      () => "breaks",
    );
    expect(broken).toBe("breaks");
    await sql.end({ timeout: 1 });
    for (const mode of ["fast", "immediate"] as const) {
      await victim.restart(mode);
      await withConnection(target.url, (again) => again`select from kept`);
    }
    await victim.stop();
  });

  test("pauses and kills a pooler", async () => {
    const victim = await substrate.pgbouncer(server);
    const sql = connect(victim.urlOf(database));
    await sql`select 1`;
    await victim.pause();
    const answer = sql`select 2 as value`.then(([row]) => row?.["value"]);
    expect(await Promise.race([answer, Bun.sleep(HANG_MS).then(() => "hangs")])).toBe("hangs");
    await victim.resume();
    expect(await answer).toBe(2);
    await victim.kill();
    expect(await sql`select 3`.catch(() => "breaks")).toBe("breaks");
    await sql.end({ timeout: 1 });
    await victim.stop();
  });

  test("a pooler obeys its console, ends safely, and comes back on its port", async () => {
    const victim = await substrate.pgbouncer(server);
    const ask = () => withConnection(victim.urlOf(database), (sql) => sql`select 1 as value`);
    for (const comeBack of [
      async () => {
        await victim.admin(`kill ${database.name}`);
        await victim.admin(`resume ${database.name}`);
      },
      () => victim.restart(),
      async () => {
        await victim.shutDownSafely();
        await expect(ask()).rejects.toThrow();
        await victim.restart();
      },
    ]) {
      await comeBack();
      expect(await ask()).toHaveLength(1);
    }
    await victim.stop();
  });

  test("says why a server does not start", async () => {
    const start = substrate.postgres({ settings: { no_such_parameter: "1" } });
    await expect(start).rejects.toThrow(/unrecognized configuration parameter "no_such_parameter"/);
  });

  test("speaks TLS, and lets a client certificate in that pg_hba.conf asks for", async () => {
    const tls = createTlsFixture();
    const secured = await substrate.postgres({
      tls: tls.server,
      hba: ["hostssl all app all cert"],
    });
    const url = `postgres://app@${secured.host}:${secured.port}/postgres`;
    const pem = (path: string) => readFileSync(path, "utf8");
    const client = { cert: pem(tls.client.cert), key: pem(tls.client.key) };
    const readTls = (sql: postgres.Sql) =>
      sql`select ssl from pg_stat_ssl where pid = pg_backend_pid()`;

    const [row] = await withConnection(url, readTls, { ...client, ca: pem(tls.server.ca) });
    expect(row?.["ssl"]).toBe(true);
    const stranger = withConnection(url, readTls, { ...client, ca: pem(tls.otherCa) });
    await expect(stranger).rejects.toThrow(/certificate/);
    const anonymous = withConnection(url, readTls, { ca: pem(tls.server.ca) });
    await expect(anonymous).rejects.toThrow(/client certificate/);
    await secured.stop();
    tls.cleanup();
  });

  test("does not know an engine that nobody named", async () => {
    await expect(openSubstrate("auto")).rejects.toThrow(/TEST_SUBSTRATE/);
  });
});

describe("through a transaction pooler", () => {
  const because = (fact: string) =>
    `PgBouncer ${pooler.version}, PostgreSQL ${server.version}: ${fact}`;

  test("a session lock outlives its client, and the next client is granted it a second time", async () => {
    const key = 4711;
    const pooled = pooler.urlOf(database);
    const first = await withConnection(pooled, (sql) => tryLock(sql, key));
    expect(first.granted).toBe(true);

    const holders = await withConnection(database.url, (sql) => readHolders(sql, key));
    expect(holders, because("the lock went with its client; no orphan was left")).toEqual([
      first.pid,
    ]);
    expect(await isFree(key), because("a direct session was granted an orphaned lock")).toBe(false);

    await onBackend(first.pid, async (sql) => {
      const second = await tryLock(sql, key);
      expect(second, because("the backend of the first client refused its own lock")).toEqual(
        first,
      );
      expect(await isFree(key), because("a direct session was granted a lock held twice")).toBe(
        false,
      );
    });
  });

  test("a transaction's lock is held while the transaction is open, and no longer", async () => {
    const key = 4712;
    await withConnection(pooler.urlOf(database), async (sql) => {
      await sql.begin(async (tx) => {
        await tx`select pg_advisory_xact_lock(${key}::int)`;
        expect(await isFree(key), because("an open transaction did not hold its lock")).toBe(false);
      });
      expect(await isFree(key), because("a lock outlived its transaction")).toBe(true);
    });
  });

  test("a client that leaves its transaction open takes the backend and every lock with it", async () => {
    const key = 4713;
    const leaver = connect(pooler.urlOf(database));
    await leaver`begin`;
    expect((await tryLock(leaver, key)).granted).toBe(true);
    expect(await isFree(key)).toBe(false);
    await leaver.end({ timeout: 1 });
    const freed = await eventually(() => isFree(key));
    expect(freed, because("a transaction outlived its client")).toBe(true);
  });

  async function readHolders(sql: postgres.Sql, key: number): Promise<readonly number[]> {
    const rows = await sql<{ pid: number }[]>`
      select pid from pg_locks where locktype = 'advisory' and objid = ${key}::int and granted`;
    return rows.map(({ pid }) => pid);
  }

  /**
   * Runs `use` in a pooled transaction on the backend `pid`. Two clients, each inside a transaction, are given the
   * two backends that the pool may hold. Both commit: PgBouncer closes a backend whose client leaves it mid-way.
   */
  async function onBackend(pid: number, use: (sql: postgres.Sql) => Promise<void>): Promise<void> {
    const clients = [connect(pooler.urlOf(database)), connect(pooler.urlOf(database))];
    try {
      const pids = await Promise.all(clients.map(beginAndReadPid));
      const client = clients[pids.indexOf(pid)];
      if (client === undefined)
        throw new Error(because(`backend ${pid} is not in the pool any more`));
      await use(client);
      await Promise.all(clients.map((sql) => sql`commit`));
    } finally {
      await Promise.all(clients.map((sql) => sql.end({ timeout: 1 })));
    }
  }

  async function beginAndReadPid(sql: postgres.Sql): Promise<number> {
    await sql`begin`;
    const [row] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
    return row?.pid ?? 0;
  }
});
