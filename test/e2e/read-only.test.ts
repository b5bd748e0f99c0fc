/** probe, wait, status, plan, locks and verify only read: seen on the wire, and by roles and servers that allow no more. */
import { describe, expect, test } from "bun:test";
import { migrationFolder } from "../support/folder.ts";
import { headgate, type Run, withUrl } from "../support/headgate.ts";
import { atAddress } from "../support/postgres-admin.ts";
import { asRole, query, tablesOf, until } from "../support/query.ts";
import { openRelay } from "../support/relay.ts";
import { openStandby } from "../support/standby.ts";
import { useServers } from "../support/use-servers.ts";

const servers = useServers();

const dir = migrationFolder({ "1_a.sql": "create table a ();", "2_b.sql": "create table b ();" });
const grown = migrationFolder({
  "1_a.sql": "create table a ();",
  "2_b.sql": "create table b ();",
  "3_c.sql": "create table c ();",
});

const READERS: readonly (readonly string[])[] = [
  ["probe"],
  ["status", "--exit-code"],
  ["plan"],
  ["up", "--skip-migrations", "verify"],
  ["up"],
  ["locks"],
  ["wait", "--deadline", "30s"],
];

async function migrated(): Promise<string> {
  const { url } = await servers.postgres.createDatabase();
  expect((await headgate(["up", "--dir", dir], withUrl(url))).status).toBe(0);
  return url;
}

describe("a role that may only read, in read-only transactions", () => {
  test("answers at head from every reader, and from up's fast path", async () => {
    const url = await migrated();
    const role = await servers.postgres.createRole();
    await query(
      url,
      `alter role ${role.user} set default_transaction_read_only = on;
grant usage on schema public to ${role.user}; grant select on headgate_migrations to ${role.user}`,
    );
    for (const args of READERS) {
      const run = await headgate([...args, "--dir", dir], withUrl(asRole(url, role)));
      expect([args, run.status]).toEqual([args, 0]);
    }
    const behind = (args: readonly string[]): Promise<Run> =>
      headgate([...args, "--dir", grown], withUrl(asRole(url, role)));
    const exits = await Promise.all(READERS.slice(0, 4).map(behind));
    expect(exits.map(({ status }) => status)).toEqual([1, 3, 0, 3]);
  });

  test("answers fresh where there is no ledger, and makes none", async () => {
    const { url } = await servers.postgres.createDatabase();
    const role = await servers.postgres.createRole();
    for (const args of READERS.slice(0, 4)) {
      await headgate([...args, "--dir", dir], withUrl(asRole(url, role)));
    }
    expect(await tablesOf(url)).toEqual([]);
  });
});

describe("on the wire", () => {
  /** What one run says to the server, once it is logged in. */
  async function overheard(url: string, args: readonly string[]) {
    const relay = await openRelay(servers.postgres);
    const address = `${atAddress(url, relay)}?sslmode=disable`;
    const run = await headgate([...args, "--dir", dir], withUrl(address));
    await relay.close();
    return { run, connections: relay.connections(), queries: relay.queries() };
  }

  const unaltered = "select";
  const states: readonly [state: string, alter: string, exit: number][] = [
    ["at head", unaltered, 0],
    ["behind", "delete from headgate_migrations where version = 2", 1],
    ["fresh", "drop table headgate_migrations", 1],
    ["interrupted", "update headgate_migrations set state = 'failed' where version = 2", 1],
    ["unreadable", "alter table headgate_migrations drop column history", 1],
  ];
  test.each(states)("a probe that finds %s is one connection and one SELECT", async (...given) => {
    const [, alter, exit] = given;
    const url = await migrated();
    await query(url, alter);
    const { run, connections, queries } = await overheard(url, ["probe"]);
    expect(run.status).toBe(exit);
    expect(connections).toBe(1);
    expect(queries).toEqual([expect.stringMatching(/^(\/\*.*\*\/ )?select /)]);
    expect((run.stdout + run.stderr).trim().split("\n")).toHaveLength(1);
  });

  const readers = READERS.map((args) => [args.join(" ")] as const);
  test.each(readers)("%s at head is one connection and says only SELECT", async (line) => {
    const { run, connections, queries } = await overheard(await migrated(), line.split(" "));
    expect(run.status).toBe(0);
    expect(connections).toBe(1);
    for (const text of queries) expect(text).toMatch(/^(\/\*.*\*\/ )?select /);
  });

  test("a running row costs the probe questions, and still nothing but SELECT", async () => {
    const url = await migrated();
    await query(url, "update headgate_migrations set state = 'running' where version = 2");
    const { run, connections, queries } = await overheard(url, ["probe"]);
    expect(run.status).toBe(1);
    expect(connections).toBe(1);
    for (const text of queries) expect(text).toMatch(/^(\/\*.*\*\/ )?select /);
  });
});

test("fifty probes write nothing and leave no connection behind, direct and pooled", async () => {
  const url = await migrated();
  const pooler = await servers.substrate.pgbouncer(servers.postgres);
  const admin = (await servers.postgres.createDatabase()).url;
  const name = new URL(url).pathname.slice(1);
  const written = `select tup_inserted + tup_updated + tup_deleted as n from pg_stat_database where datname = '${name}'`;
  const [before] = await query(admin, written);
  for (const address of [url, atAddress(url, pooler)]) {
    for (let batch = 0; batch < 5; batch += 1) {
      const probe = () => headgate(["probe", "--dir", dir, "--timeout", "10s"], withUrl(address));
      const runs = await Promise.all(Array.from({ length: 5 }, probe));
      expect(runs.map(({ status }) => status)).toEqual([0, 0, 0, 0, 0]);
    }
    if (address !== url) await pooler.stop(); // its own connections are to stay until then
    await until(
      admin,
      `select where not exists (select from pg_stat_activity where datname = '${name}')`,
    );
  }
  expect(await query(admin, written)).toEqual([before!]);
}, 30_000);

test("a streaming standby (local only: a copy of the data folder) answers readers and migrates nothing", async () => {
  if (servers.substrate.kind !== "local") return expect(servers.postgres.socketDir).toBeUndefined();
  const url = await migrated();
  const standby = await openStandby(servers.postgres);
  try {
    const there = atAddress(url, standby);
    for (const args of READERS) {
      const run = await headgate([...args, "--dir", dir], withUrl(there));
      expect([args, run.status]).toEqual([args, 0]);
    }
    const refused = await headgate(["up", "--dir", grown], withUrl(there));
    expect(refused.status).toBe(7);
    expect(refused.stderr).toContain("25006");
    expect(refused.stderr).toContain("standby");
  } finally {
    await standby.stop();
  }
}, 60_000);
