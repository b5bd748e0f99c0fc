/** A session that is stopped takes its statement with it, whatever way leads to the server. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { loadTargets } from "../../src/config/connection-settings.ts";
import { openConnection } from "../../src/db/connection.ts";
import { UNBOUNDED } from "../../src/db/deadlines.ts";
import type { Connection } from "../../src/ports.ts";
import { query, until } from "../support/query.ts";
import { openRelay, type Relay } from "../support/relay.ts";
import {
  type Database,
  openSubstrate,
  type PostgresServer,
  type Substrate,
} from "../support/substrate.ts";
import { createTlsFixture, type TlsFixture } from "../support/tls.ts";

const isLocal = (process.env["TEST_SUBSTRATE"] ?? "local") === "local";
const PATIENCE_MS = 20_000;
const STOP = new Error("told to stop");
const ASLEEP =
  "select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'";
/** Protocol section "CancelRequest". */
const CANCEL = Buffer.from([0, 0, 0, 16, 0x04, 0xd2, 0x16, 0x2e]);
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
const TLS_HANDSHAKE = 0x16;

let substrate: Substrate;
let fixture: TlsFixture;
let server: PostgresServer;
let database: Database;
let relay: Relay;

beforeAll(async () => {
  fixture = createTlsFixture();
  substrate = await openSubstrate();
  server = await substrate.postgres(isLocal ? { tls: fixture.server } : {});
  database = await server.createDatabase();
  relay = await openRelay(server);
}, 120_000);
afterAll(async () => {
  await relay.close();
  await substrate.close();
  fixture.cleanup();
});

function open(url: string): Connection {
  const readFile = (path: string): string => readFileSync(path, "utf8");
  const { main } = loadTargets({ env: { DATABASE_URL: url }, readFile, flags: {} });
  return openConnection({ target: main, applicationName: "stop-test", connectTimeoutMs: 5000 });
}

function through(host: string, parameters: string): string {
  const { username, password, pathname } = new URL(database.url);
  return `postgres://${username}:${password}@${host}${pathname}?${parameters}`;
}

/** Asleep inside a transaction, and then told to stop. */
async function stopAsleep(connection: Connection): Promise<void> {
  const sleeping = connection.run("begin; select pg_sleep(60)", UNBOUNDED);
  const ended = sleeping.catch((error: unknown) => error);
  await until(database.url, ASLEEP, PATIENCE_MS);
  connection.stop(STOP);
  expect(await ended).toBe(STOP);
  await connection.close();
}

test("its statement is cancelled, and nothing more is said in its name", async () => {
  const connection = open(database.url);
  await stopAsleep(connection);
  await until(database.url, `select where not exists (${ASLEEP})`, PATIENCE_MS);
  const again = connection.run("select 1").catch((error: unknown) => error);
  expect(await again).toBe(STOP);
});

test("the cancel goes to the host that answered", async () => {
  const before = relay.connections();
  await stopAsleep(open(through(`127.0.0.1:1,${relay.host}:${relay.port}`, "sslmode=disable")));
  const [session, cancel] = relay.said().slice(before);
  expect(session?.toString("latin1")).toContain("rollback");
  expect(cancel?.subarray(0, CANCEL.length)).toEqual(CANCEL);
  expect(cancel).toHaveLength(16);
  await until(database.url, `select where not exists (${ASLEEP})`, PATIENCE_MS);
});

test.if(isLocal)("the cancel is as encrypted as the session", async () => {
  const before = relay.connections();
  const tls = `sslmode=verify-full&sslrootcert=${fixture.server.ca}`;
  await stopAsleep(open(through(`localhost:${relay.port}`, tls)));
  const said = relay.said().slice(before);
  expect(said.length).toBeGreaterThan(1);
  for (const each of said) {
    expect(each.subarray(0, SSL_REQUEST.length)).toEqual(SSL_REQUEST);
    expect(each[SSL_REQUEST.length]).toBe(TLS_HANDSHAKE);
  }
  await until(database.url, `select where not exists (${ASLEEP})`, PATIENCE_MS);
});

test.if(isLocal)("a Unix socket is as good", async () => {
  const { socketDir, port } = server;
  await stopAsleep(open(through("", `host=${socketDir}&port=${port}`)));
  await until(database.url, `select where not exists (${ASLEEP})`, PATIENCE_MS);
});

test("between two statements its transaction is rolled back", async () => {
  const connection = open(database.url);
  await connection.run("begin; select pg_advisory_xact_lock(42)");
  connection.stop(STOP);
  await connection.close();
  const held = "select from pg_locks where locktype = 'advisory' and objid = 42";
  expect(await query(database.url, held)).toEqual([]);
});

test("a server that does not answer is given up", async () => {
  const connection = open(database.url);
  await connection.run("select 1");
  await server.pause();
  const asked = connection.run("select 2", UNBOUNDED).catch((error: unknown) => error);
  connection.stop(STOP);
  await connection.close();
  await server.resume();
  expect(await asked).toBe(STOP);
}, 30_000);

test("what was never opened is not opened for it", async () => {
  const before = relay.connections();
  const connection = open(through(`${relay.host}:${relay.port}`, "sslmode=disable"));
  connection.stop(STOP);
  await connection.close();
  await expect(connection.run("select 1")).rejects.toBe(STOP);
  expect(relay.connections()).toBe(before);
});
