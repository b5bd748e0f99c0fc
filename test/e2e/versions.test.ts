/** The core of the protocol on every PostgreSQL that npm ships a server of. Local binaries only. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { migrationFolder } from "../support/folder.ts";
import { headgate, withUrl } from "../support/headgate.ts";
import { holdGate } from "../support/lock-holder.ts";
import { tablesOf } from "../support/query.ts";
import { aftermath, appliers, race, witnessMigrations } from "../support/race.ts";
import {
  openSubstrate,
  type Pgbouncer,
  type PostgresServer,
  type Substrate,
} from "../support/substrate.ts";

const VERSIONS = [14, 16, 17, 18] as const;
const dir = migrationFolder(witnessMigrations(5));
const broken = migrationFolder({
  ...witnessMigrations(2),
  "0003_broken.sql": "create table left_behind ();\nselect 1 / 0;\n",
});

describe.each(VERSIONS)("PostgreSQL %d", (version) => {
  let substrate: Substrate;
  let server: PostgresServer;
  let pool: Pgbouncer;
  beforeAll(async () => {
    substrate = await openSubstrate("local");
    server = await substrate.postgres({ version });
    pool = await substrate.pgbouncer(server, { poolSize: 2 });
    expect(server.version).toStartWith(`${version}.`);
  }, 120_000);
  afterAll(() => substrate.close());

  test("the embedded bundle goes up, down and up again", async () => {
    const { url } = await server.createDatabase();
    expect((await headgate(["probe"], withUrl(url))).status).toBe(1);
    expect((await headgate(["up"], withUrl(url))).status).toBe(0);
    expect((await headgate(["probe"], withUrl(url))).status).toBe(0);
    expect((await headgate(["down", "14"], withUrl(url))).status).toBe(0);
    expect(await tablesOf(url)).toEqual(["public.headgate_migrations", "public.headgate_seeds"]);
    expect((await headgate(["up", "--atomic"], withUrl(url))).status).toBe(0);
    expect((await headgate(["status", "--exit-code"], withUrl(url))).status).toBe(0);
  }, 60_000);

  test.each([
    ["direct", false],
    ["through a pool of 2", true],
  ] as const)(
    "12 processes race %s",
    async (_how, isPooled) => {
      const database = await server.createDatabase();
      const url = isPooled ? pool.urlOf(database) : database.url;
      const { runs } = await race(12, ["up", "--dir", dir], withUrl(url));
      expect(runs.filter(({ status }) => status !== 0).map(({ stderr }) => stderr)).toEqual([]);
      expect([...appliers(runs).values()]).toEqual([1, 1, 1, 1, 1]);
      expect(await aftermath(database.url)).toEqual({
        applied: [1, 2, 3, 4, 5],
        advisoryLocks: 0,
        idleInTransaction: 0,
      });
    },
    60_000,
  );

  test("a held gate ends in exit 6", async () => {
    const { url } = await server.createDatabase();
    const holder = await holdGate(url);
    const run = await headgate(["up", "--lock-wait", "300ms"], withUrl(url));
    await holder.release();
    expect(run.status).toBe(6);
  });

  test("a failing migration leaves nothing of itself and keeps what came before", async () => {
    const { url } = await server.createDatabase();
    const run = await headgate(["up", "--dir", broken], withUrl(url));
    expect(run.status).toBe(4);
    expect(await tablesOf(url)).not.toContain("public.left_behind");
    expect((await aftermath(url)).applied).toEqual([1, 2]);
  });
});
