/** The numbered facts at the head of `src/db/connection.ts`, each against a real server. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { loadTargets } from "../../src/config/connection-settings.ts";
import { DbError } from "../../src/core/db-error.ts";
import type { Target } from "../../src/core/target.ts";
import { runBody, runBodyInside } from "../../src/db/body.ts";
import { openConnection } from "../../src/db/connection.ts";
import { together } from "../../src/db/together.ts";
import type { Connection } from "../../src/ports.ts";
import { openFaultRelay } from "../support/fault-relay.ts";
import { atAddress } from "../support/postgres-admin.ts";
import { query } from "../support/query.ts";
import {
  type Database,
  openSubstrate,
  type Pgbouncer,
  type PostgresServer,
  type Substrate,
} from "../support/substrate.ts";

let substrate: Substrate;
let server: PostgresServer;
let pool: Pgbouncer;
let database: Database;

beforeAll(async () => {
  substrate = await openSubstrate();
  server = await substrate.postgres();
  pool = await substrate.pgbouncer(server, { poolSize: 2 });
  database = await server.createDatabase();
}, 120_000);
afterAll(() => substrate.close());

function targetOf(url: string): Target {
  return loadTargets({ env: { DATABASE_URL: url }, readFile: () => undefined, flags: {} }).main;
}

function open(url: string = database.url): Connection {
  return openConnection({
    target: targetOf(url),
    applicationName: "connection-test",
    tag: "00000000-0000-4000-8000-000000000000",
    connectTimeoutMs: 5000,
  });
}

async function pidOf(connection: Connection): Promise<number> {
  const { rows } = await connection.run("select pg_backend_pid() as pid");
  return Number(rows[0]?.["pid"]);
}

function terminate(pid: number): Promise<unknown> {
  return query(database.url, `select pg_terminate_backend(${pid}, 2000)`);
}

test("(1) a call between a socket's error and its close is refused, not left without an answer", async () => {
  const relay = await openFaultRelay(server);
  const connection = open(`${atAddress(database.url, relay)}?sslmode=disable`);
  await connection.run("select 1");
  const cut = connection.run("select pg_sleep(20)");
  const ends = Promise.allSettled([cut, cut.catch(() => connection.run("select 1", 1000))]);
  await Bun.sleep(100);
  relay.reset();
  expect((await ends).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  await connection.close();
  await relay.close();
}, 20_000);

test("(1) however many calls are under way when the session ends, each of them ends", async () => {
  for (let round = 0; round < 25; round += 1) {
    const connection = open(`${database.url}?sslmode=disable`);
    const pid = await pidOf(connection);
    const calls: Promise<unknown>[] = [];
    const isOver = terminate(pid).then(() => true);
    while (!(await Promise.race([isOver, Bun.sleep(0)]))) {
      for (let i = 0; i < 5; i += 1) {
        const call =
          i === 3 ? connection.bind("select $1::text", ["x"]) : connection.run("select 1");
        calls.push(call.catch(() => undefined));
      }
    }
    expect(await Promise.race([Promise.all(calls), Bun.sleep(5000)])).toHaveLength(calls.length);
    await connection.close();
  }
}, 60_000);

test("(1) a lost connection stays lost: the next statement is refused, not sent elsewhere", async () => {
  const connection = open();
  await connection.run("begin");
  await terminate(await pidOf(connection));
  await expect(connection.run("select 1")).rejects.toBeInstanceOf(DbError);
  await expect(connection.run("create table elsewhere ()")).rejects.toBeInstanceOf(DbError);
  await connection.close();
  const rows = await query(database.url, "select to_regclass('elsewhere') as found");
  expect(rows[0]?.["found"]).toBeNull();
});

test("(2) statements of a dead transaction do not run inside the next one", async () => {
  await query(database.url, "create table kept (note text)");
  const first = open();
  await first.run("begin; insert into kept values ('dead')");
  await terminate(await pidOf(first));
  const late = first.run("insert into kept values ('late')").catch(() => undefined);
  const second = open();
  await second.run("begin; insert into kept values ('second')");
  await late;
  await second.run("commit");
  await Promise.all([first.close(), second.close()]);
  const rows = await query(database.url, "select note from kept");
  expect(rows.map((row) => row["note"])).toEqual(["second"]);
});

test("(3) run leaves no snapshot in an open transaction; bind does", async () => {
  const connection = open();
  await connection.run("begin isolation level read committed");
  const pid = await pidOf(connection);
  const xmin = `select backend_xmin is null as free from pg_stat_activity where pid = ${pid}`;
  expect((await query(database.url, xmin))[0]?.["free"]).toBe(true);
  await connection.bind("select $1::int", [1]);
  expect((await query(database.url, xmin))[0]?.["free"]).toBe(false);
  await connection.run("rollback");
  await connection.close();
});

test("(4) a server that goes silent ends the call at its deadline, and the connection with it", async () => {
  const connection = open();
  await connection.run("select 1");
  await server.pause();
  const error = await connection.run("select 2", 300).catch((caught: unknown) => caught);
  await server.resume();
  expect(error).toMatchObject({ kind: "deadline" });
  await expect(connection.run("select 3")).rejects.toMatchObject({ kind: "deadline" });
  await connection.close();
});

test("(5) no start-up parameter but application_name: a strict pooler lets it in", async () => {
  const connection = open(pool.urlOf(database));
  const { rows } = await connection.run("show application_name");
  expect(rows[0]?.["application_name"]).toBe("connection-test");
  await connection.close();
});

test("statements carry the run's token for pg_stat_activity", async () => {
  const connection = open();
  await connection.run("begin");
  const pid = await pidOf(connection);
  const rows = await query(database.url, `select query from pg_stat_activity where pid = ${pid}`);
  expect(rows[0]?.["query"]).toStartWith("/* headgate:00000000-0000-4000-8000-000000000000 */ ");
  await connection.run("rollback");
  await connection.close();
});

test("an error's position counts in the caller's text, not in what was sent", async () => {
  const connection = open();
  const error = await connection.run("select nothing_here").catch((caught: unknown) => caught);
  expect(error).toMatchObject({ server: { sqlState: "42703", position: 8 } });
  await connection.close();
});

test("a result is the last statement's rows and the last statement's tag", async () => {
  const connection = open();
  expect(await connection.run("select 1 as a; select 2 as b, 3 as c")).toEqual({
    rows: [{ b: 2, c: 3 }],
    tag: "SELECT",
    loginPid: expect.any(Number),
  });
  expect((await connection.run("begin; select 1; commit")).tag).toBe("COMMIT");
  await connection.run("begin");
  await connection.run("select 1 / 0").catch(() => undefined);
  expect((await connection.run("commit")).tag).toBe("ROLLBACK");
  await connection.close();
});

test("a body that is sent behind a BEGIN that never ran does not run by itself", async () => {
  const connection = open();
  const sent = (run: typeof runBody, table: string): Promise<unknown> =>
    Promise.allSettled([
      connection.run("select 1 / 0; begin; savepoint headgate"),
      run(connection, `create table ${table} ()`),
      connection.run("commit"),
    ]);
  await sent(runBodyInside, "guarded");
  await sent(runBody, "unguarded");
  await connection.close();
  const rows = await query(
    database.url,
    "select to_regclass('guarded')::text as guarded, to_regclass('unguarded')::text as unguarded",
  );
  expect(rows).toEqual([{ guarded: null, unguarded: "unguarded" }]);
});

// A server that ends with unread messages of ours resets the line, and its kernel drops what it said last.
test("a long answer before the end does not hide the server's last words", async () => {
  const connection = open();
  await connection.run("select 1");
  const end = connection.run(
    "select repeat('E', 300000); select pg_terminate_backend(pg_backend_pid())",
  );
  await expect(end).rejects.toThrow("administrator command");
  await connection.close();
});

test("closing leaves nothing behind on the server", async () => {
  const connection = open();
  const pid = await pidOf(connection);
  await connection.close();
  await Bun.sleep(100);
  const rows = await query(database.url, `select from pg_stat_activity where pid = ${pid}`);
  expect(rows).toHaveLength(0);
});

test("a question's time begins when the one sent before it is answered", async () => {
  const connection = open();
  const slow = connection.run("select pg_sleep(1.2)", 0);
  const { rows } = await connection.bind("select $1::int as n", [7], 1000);
  await slow;
  expect(rows).toEqual([{ n: 7 }]);
  await connection.close();
});

test("in a pipeline what follows a failure fails too, and the first error is the one thrown", async () => {
  const connection = open();
  await connection.run("begin");
  const failed = together([
    connection.run("select nosuch"),
    connection.bind("select $1::int", [1]),
    connection.run("commit"),
  ]);
  await expect(failed).rejects.toMatchObject({ server: { sqlState: "42703" } });
  const { rows } = await connection.run("select pg_current_xact_id_if_assigned() is null as ended");
  expect(rows).toEqual([{ ended: true }]);
  await connection.close();
});
