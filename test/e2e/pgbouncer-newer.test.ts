/**
 * What headgate rests on behind a pooler, on a newer PgBouncer than the system's: the facts about
 * locks, the race, an index build, an orphan. The names of the tests say which version it was.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { BUILD, indexState, outsideFolder } from "../support/build.ts";
import { migrationFolder } from "../support/folder.ts";
import { eventOf, headgate, withUrl } from "../support/headgate.ts";
import { fetchNewerPgbouncer, type NewerPgbouncer } from "../support/newer-pgbouncer.ts";
import { hold, query } from "../support/query.ts";
import { aftermath, appliers, race, witnessMigrations } from "../support/race.ts";
import {
  openSubstrate,
  type Pgbouncer,
  type PostgresServer,
  type Substrate,
} from "../support/substrate.ts";

const newer: NewerPgbouncer = await fetchNewerPgbouncer();
const LOCK = "42424242424242";
const HELD =
  "select pid from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())";

if ("problem" in newer) {
  test.skip(`no newer PgBouncer: ${newer.problem}`, () => undefined);
} else {
  describe(`PgBouncer ${newer.version}`, () => {
    let substrate: Substrate;
    let server: PostgresServer;
    let pool: Pgbouncer;
    beforeAll(async () => {
      substrate = await openSubstrate("local");
      server = await substrate.postgres();
      pool = await substrate.pgbouncer(server, { poolSize: 2, program: newer.program });
    }, 120_000);
    afterAll(() => substrate.close());

    test("is the one that answers", () => {
      expect(pool.version).toBe(newer.version);
      expect(Number(newer.version.split(".")[1])).toBeGreaterThan(18);
    });

    test("a transaction's lock ends with its client, a session's stays behind", async () => {
      const database = await server.createDatabase();
      const open = await hold(pool.urlOf(database), `begin; select pg_advisory_xact_lock(${LOCK})`);
      expect(await query(database.url, HELD)).toHaveLength(1);
      await open.end();
      expect(await query(database.url, HELD)).toEqual([]);
      const session = await hold(pool.urlOf(database), `select pg_advisory_lock(${LOCK})`);
      await session.end();
      expect(await query(database.url, HELD)).toHaveLength(1);
    });

    test("24 processes through a pool of 2 apply each migration once", async () => {
      const database = await server.createDatabase();
      const dir = migrationFolder(witnessMigrations(8));
      const { runs } = await race(24, ["up", "--dir", dir], withUrl(pool.urlOf(database)));
      expect(runs.filter(({ status }) => status !== 0)).toEqual([]);
      expect([...appliers(runs).values()]).toEqual(Array(8).fill(1));
      expect(await aftermath(database.url)).toMatchObject({
        advisoryLocks: 0,
        idleInTransaction: 0,
      });
    }, 60_000);

    test("six processes through it build an index concurrently, once", async () => {
      const database = await server.createDatabase();
      const args = ["up", "--dir", outsideFolder(BUILD)];
      const { runs } = await race(6, args, withUrl(pool.urlOf(database)));
      expect(runs.filter(({ status }) => status !== 0)).toEqual([]);
      expect(appliers(runs).get(2)).toBe(1);
      expect(await indexState(database.url)).toBe("valid");
    }, 60_000);

    test("an orphan keeps out even the runner that is served by its session", async () => {
      const database = await server.createDatabase();
      await (await hold(pool.urlOf(database), `select pg_advisory_lock(${LOCK})`)).end();
      const dir = migrationFolder(witnessMigrations(1));
      const args = ["up", "--dir", dir, "--lock-id", LOCK, "--lock-wait", "1s"];
      const run = await headgate(args, withUrl(pool.urlOf(database)));
      expect(run.status).toBe(6);
      expect(eventOf(run, "orphan.suspected")).toBeDefined();
    });

    test("doctor knows what it does", async () => {
      const database = await server.createDatabase();
      const { stdout } = await headgate(["doctor"], withUrl(pool.urlOf(database)));
      expect(stdout).toContain("a pooler that pools transactions");
    }, 30_000);
  });
}
