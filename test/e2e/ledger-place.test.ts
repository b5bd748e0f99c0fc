/** Where the ledger stands: the search path of a URL, and --ledger. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { migrationFolder } from "../support/folder.ts";
import { headgate, type Run, type RunOptions } from "../support/headgate.ts";
import { query, tablesOf } from "../support/query.ts";
import {
  type Database,
  openSubstrate,
  type Pgbouncer,
  type PostgresServer,
  type Substrate,
} from "../support/substrate.ts";

let substrate: Substrate;
let server: PostgresServer;
let pooler: Pgbouncer;

beforeAll(async () => {
  substrate = await openSubstrate();
  server = await substrate.postgres();
  pooler = await substrate.pgbouncer(server);
}, 60_000);

afterAll(() => substrate?.close(), 60_000);

const dir = migrationFolder({
  "1_a.sql": "-- migrate:up\ncreate table a ();\n-- migrate:down\ndrop table a;",
});
const otherDir = migrationFolder({ "1_b.sql": "create table b ();", "2_c.sql": "select 1" });

function ask(args: readonly string[], options: RunOptions): Promise<Run> {
  return headgate(args.includes("--dir") ? args : [...args, "--dir", dir], options);
}

const urlAt = (place: PostgresServer | Pgbouncer, database: Database): string =>
  place === pooler ? pooler.urlOf(database) : database.url;

describe("a search path in the URL's options holds for ledger and tables", () => {
  test.each([["direct"], ["pooled"]])("%s", async (way) => {
    const database = await server.createDatabase();
    await query(database.url, "create schema app; create schema quiet");
    const place = way === "direct" ? server : pooler;
    const url = `${urlAt(place, database)}?options=-c%20search_path%3Dapp`;
    const env = { DATABASE_URL: url };
    expect((await ask(["up"], { env })).status).toBe(0);
    expect(await tablesOf(database.url)).toEqual(["app.a", "app.headgate_migrations"]);
    for (const command of ["probe", "plan", "up"]) {
      expect((await ask([command], { env })).status).toBe(0);
    }
    expect((await ask(["status", "--exit-code"], { env })).status).toBe(0);
    const elsewhere = { DATABASE_URL: url.replace("Dapp", "Dquiet") };
    expect((await ask(["probe"], { env: elsewhere })).status).toBe(1);
    expect((await ask(["down"], { env })).status).toBe(0);
    expect(await tablesOf(database.url)).toEqual(["app.headgate_migrations"]);
  });
});

describe("--ledger", () => {
  const names: readonly [given: string, table: string][] = [
    ["history", "public.history"],
    ["ops.history", "ops.history"],
    ["OPS.History", "ops.history"],
    ['"Od d"."led.""ger"', 'Od d.led."ger'],
    ["ops.größe", "ops.größe"],
  ];
  test.each(names)("%s is the table %s", async (name, table) => {
    const database = await server.createDatabase();
    await query(database.url, 'create schema ops; create schema "Od d"');
    const env = { DATABASE_URL: urlAt(pooler, database), HEADGATE_LEDGER: name };
    expect((await ask(["up"], { env })).status).toBe(0);
    expect(await tablesOf(database.url)).toEqual([table, "public.a"].sort());
    expect((await ask(["probe"], { env })).status).toBe(0);
    expect((await ask(["down"], { env })).status).toBe(0);
  });

  test("gives each of two bundles in one database its own", async () => {
    const database = await server.createDatabase();
    const env = { DATABASE_URL: urlAt(server, database) };
    const [one, two] = [
      ["--ledger", "one", "--dir", dir],
      ["--ledger", "two", "--dir", otherDir],
    ] as const;
    const both = await Promise.all([ask(["up", ...one], { env }), ask(["up", ...two], { env })]);
    expect(both.map(({ status }) => status)).toEqual([0, 0]);
    expect(await tablesOf(database.url)).toEqual([
      "public.a",
      "public.b",
      "public.one",
      "public.two",
    ]);
    for (const mine of [one, two]) expect((await ask(["probe", ...mine], { env })).status).toBe(0);
    expect((await ask(["probe", "--ledger", "two"], { env })).status).toBe(1);
  });
});
