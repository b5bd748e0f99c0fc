/** Servers that restart, crash, are starting up, are full, or hold our lock for nobody. */
import { describe, expect, test } from "bun:test";
import process from "node:process";
import { keyArguments, stepKey } from "../../src/core/gate-key.ts";
import {
  holdSnapshot,
  indexState,
  outsideFolder,
  untilBuilding,
  WITNESSED,
  witnesses,
} from "../support/build.ts";
import { expectConverged, lastWords, sleepyFolder, untilAsleep } from "../support/faults.ts";
import { migrationFolder } from "../support/folder.ts";
import { eventOf, headgate, type Run, start, withUrl } from "../support/headgate.ts";
import { holdGate } from "../support/lock-holder.ts";
import { asRole, hold, query, tablesOf } from "../support/query.ts";
import { mountSmallDisk } from "../support/small-disk.ts";
import { openStandby } from "../support/standby.ts";
import type { Database } from "../support/substrate.ts";
import { useServers } from "../support/use-servers.ts";

const servers = useServers();

const LONG_MS = 120_000;
const LEDGER = { schema: "public", table: "headgate_migrations" };
const sleepy = sleepyFolder(2);
const outside = outsideFolder(WITNESSED);
const UP = ["up", "--dir", sleepy];

const SAYS = { fast: "administrator command", immediate: "immediate shutdown command" } as const;

/** One restart hits all three moments. */
test.each(["fast", "immediate"] as const)(
  "a server restarts (%s) during a migration, a wait for the gate and a build: each is done once",
  async (mode) => {
    const { postgres } = servers;
    const [body, waiting, building] = await Promise.all([
      postgres.createDatabase(),
      postgres.createDatabase(),
      postgres.createDatabase(),
    ]);
    const holder = await holdGate(waiting.url);
    const snapshot = await holdSnapshot(building.url);
    const runners = [
      start(UP, withUrl(body.url)),
      start(UP, withUrl(waiting.url)),
      start(["up", "--dir", outside], withUrl(building.url)),
    ];
    await untilBuilding(building.url);
    await untilAsleep(body.url);
    await postgres.restart(mode);
    await Promise.all(
      [holder.release(), snapshot.release()].map((end) => end.catch(() => undefined)),
    );
    const runs = await Promise.all(runners.map(({ done }) => done));
    expect(runs.map(({ status }) => status)).toEqual([0, 0, 0]);
    for (const run of runs) {
      expect(run.events.filter(({ event }) => event === "connection.lost").length).toBeGreaterThan(
        0,
      );
    }
    expect(eventOf(runs[0] as Run, "connection.lost")?.["reason"]).toContain(SAYS[mode]);
    await expectConverged(body.url, sleepy);
    await expectConverged(waiting.url, sleepy);
    expect([await witnesses(building.url), await indexState(building.url)]).toEqual([1, "valid"]);
  },
  LONG_MS,
);

test(
  "another session's crash takes the server down with it: our migration is done again",
  async () => {
    const { url } = await servers.postgres.createDatabase();
    if (servers.substrate.kind !== "local")
      return expect(servers.postgres.socketDir).toBeUndefined();
    const bystander = await hold(url, "select 1");
    const runner = start(UP, withUrl(url));
    await untilAsleep(url);
    process.kill(bystander.pid, "SIGKILL");
    const run = await runner.done;
    await bystander.end();
    expect(run.status).toBe(0);
    expect(eventOf(run, "connection.lost")?.["reason"]).toContain(
      "crash of another server process",
    );
    await expectConverged(url, sleepy);
  },
  LONG_MS,
);

test(
  "a server that is starting up is waited for, and named when patience ends",
  async () => {
    if (servers.substrate.kind !== "local")
      return expect(servers.postgres.socketDir).toBeUndefined();
    const { name } = await servers.postgres.createDatabase();
    const cold = await openStandby(servers.postgres, { isReadable: false });
    const url = new URL(`postgres://x/${name}`);
    url.host = `${cold.host}:${cold.port}`;
    url.username = servers.postgres.user;
    url.password = servers.postgres.password;
    const impatient = await headgate([...UP, "--lock-wait", "1s"], withUrl(url.href));
    expect(impatient.status).toBe(7);
    expect(lastWords(impatient).reason).toContain("SQLSTATE 57P03");
    expect(lastWords(impatient).hint).toContain("starting or stopping");
    const probe = await headgate(["probe", "--dir", sleepy], withUrl(url.href));
    expect([probe.status, probe.stderr]).toEqual([1, expect.stringContaining("57P03")]);
    const patient = start(UP, withUrl(url.href));
    await Bun.sleep(3000);
    cold.promote();
    const run = await patient.done;
    expect([run.status, eventOf(run, "connection.lost")?.["reason"]]).toEqual([
      0,
      expect.stringContaining("not accepting connections"),
    ]);
    await expectConverged(url.href, sleepy);
    await cold.stop();
  },
  LONG_MS,
);

describe("too many clients", () => {
  test(
    "of the server: waited for, and named when patience ends",
    async () => {
      const small = await servers.substrate.postgres({
        settings: {
          max_connections: "5",
          superuser_reserved_connections: "0",
          max_wal_senders: "0",
        },
      });
      const { url } = await small.createDatabase();
      const held = [];
      for (let i = 0; i < 5; i += 1) held.push(await hold(url, "select 1"));
      const impatient = await headgate([...UP, "--lock-wait", "1s"], withUrl(url));
      expect(impatient.status).toBe(7);
      expect(lastWords(impatient).reason).toContain("SQLSTATE 53300");
      expect(lastWords(impatient).hint).toContain("max_connections");
      const probe = await headgate(["probe", "--dir", sleepy], withUrl(url));
      expect([probe.status, probe.stderr]).toEqual([1, expect.stringContaining("53300")]);
      const patient = start(UP, withUrl(url));
      await Bun.sleep(1000);
      for (const each of held) await each.end();
      expect((await patient.done).status).toBe(0);
      await expectConverged(url, sleepy);
    },
    LONG_MS,
  );

  test(
    "of the role: a build outside a transaction goes on with a lease",
    async () => {
      const { url } = await servers.postgres.createDatabase();
      const role = await servers.postgres.createRole({ attributes: "connection limit 1" });
      await query(url, `grant all on schema public to ${role.user}`);
      const run = await headgate(["up", "--dir", outside], withUrl(asRole(url, role)));
      expect([run.status, eventOf(run, "build.leased")]).toEqual([0, expect.anything()]);
      expect([await witnesses(url), await indexState(url)]).toEqual([1, "valid"]);
    },
    LONG_MS,
  );
});

test(
  "a prepared transaction that holds our key is named by its gid, and goes by a person's word",
  async () => {
    const server = await servers.substrate.postgres({
      settings: { max_prepared_transactions: "2" },
    });
    const { url } = await server.createDatabase();
    await query(
      url,
      `begin; select pg_advisory_xact_lock(${keyArguments(stepKey(LEDGER))}); prepare transaction 'left by a dead one'`,
    );
    const run = await headgate([...UP, "--lock-wait", "500ms"], withUrl(url));
    expect(run.status).toBe(6);
    const { reason } = lastWords(run);
    expect(reason).toContain("the prepared transaction 'left by a dead one' holds the gate");
    expect(reason).toContain("rollback prepared 'left by a dead one'");
    const locks = await headgate(["locks"], withUrl(url));
    expect(locks.stdout).toContain("left by a dead one");
    await query(url, "rollback prepared 'left by a dead one'");
    await expectConverged(url, sleepy);
  },
  LONG_MS,
);

describe("no space left on the server", () => {
  const full = migrationFolder({
    "1_a.sql": "create table a ();\n",
    "2_full.sql":
      "create table b ();\ncopy (select repeat('x', 1000) from generate_series(1, 1000)) to '/dev/full';\n",
  });

  test("in a migration: 4 with the server's words and a next step, and nothing of it stays", async () => {
    const { url } = await servers.postgres.createDatabase();
    const run = await headgate(["up", "--dir", full], withUrl(url));
    expect(run.status).toBe(4);
    expect(lastWords(run)).toEqual({
      reason: expect.stringMatching(/^Cannot apply 2_full.sql: .*No space left.*SQLSTATE 53100/),
      hint: expect.stringMatching(/^Nothing of it stayed: free space/),
    });
    expect(await tablesOf(url)).toEqual(["public.a", "public.headgate_migrations"]);
    expect(await query(url, "select version from headgate_migrations")).toHaveLength(1);
  });

  test("on the disk itself: nothing is lost, and space cures it (local, root only)", async () => {
    const disk = servers.substrate.kind === "local" ? mountSmallDisk(48) : undefined;
    if (disk === undefined) return expect(disk).toBeUndefined();
    const elsewhere = (await servers.postgres.createDatabase()).url;
    await query(elsewhere, `create tablespace small location '${disk}'`);
    const openSmall = async (): Promise<Database> => {
      const database = await servers.postgres.createDatabase();
      await query(elsewhere, `alter database ${database.name} set tablespace small`);
      return database;
    };
    const { name, url } = await openSmall();
    const move = `alter database ${name} set tablespace pg_default`;
    await expectBodyNeedsSpace(url, () => query(elsewhere, move));
    await expectBuildNeedsSpace((await openSmall()).url);
  }, 60_000);
});

async function expectBodyNeedsSpace(url: string, giveSpace: () => Promise<unknown>): Promise<void> {
  const big = ["up", "--dir", migrationFolder({ "1_big.sql": `create table a ();\n${TAKE}\n` })];
  await query(url, FILLER);
  await take(url);
  const noLedger = await headgate(big, withUrl(url));
  expect(noLedger.status).toBe(7);
  expect(lastWords(noLedger).reason).toMatch(/^Cannot use the ledger .*SQLSTATE 53100/);
  expect(lastWords(noLedger).hint).toContain("free space");
  await query(url, "drop table filler");
  await query(url, FILLER);
  const noSpace = await headgate(big, withUrl(url));
  expect(noSpace.status).toBe(4);
  expect(lastWords(noSpace).reason).toMatch(/^Cannot apply 1_big.sql: could not extend .*53100/);
  expect(await tablesOf(url)).toEqual(["public.filler"]);
  await giveSpace();
  expect((await headgate(big, withUrl(url))).status).toBe(0);
}

async function expectBuildNeedsSpace(url: string): Promise<void> {
  const dir = migrationFolder({
    "1_t.sql": "create table t (c int);\n",
    "2_index.sql": "-- migrate:up transaction:false\ncreate index concurrently t_c on t (c);\n",
  });
  expect((await headgate(["up", "--dir", dir, "--to", "1"], withUrl(url))).status).toBe(0);
  await query(url, FILLER);
  await take(url);
  const noSpace = await headgate(["up", "--dir", dir], withUrl(url));
  expect([noSpace.status, lastWords(noSpace).reason]).toEqual([
    4,
    expect.stringContaining("53100"),
  ]);
  await query(url, "drop table filler");
  const resolve = ["resolve", "2", "--rolled-back"];
  expect((await headgate(resolve, withUrl(url))).status).toBe(0);
  expect((await headgate(["up", "--dir", dir], withUrl(url))).status).toBe(0);
  expect(await indexState(url)).toBe("valid");
}

const FILLER = "create table filler (note text)";
const TAKE = "insert into filler select repeat(i::text, 300) from generate_series(1, 40000) i;";

/** Takes what is left, down to the last page: what a failed insert took, its table keeps. */
async function take(url: string): Promise<void> {
  await expect(query(url, TAKE)).rejects.toMatchObject({ code: "53100" });
}
