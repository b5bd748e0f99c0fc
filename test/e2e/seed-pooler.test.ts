/**
 * Seeding through poolers, along search paths and beside ledgers of other names: where the rows go, through
 * which connection, and what is said where they cannot go.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { migrationFolder } from "../support/folder.ts";
import { eventOf, headgate, type Run, withUrl } from "../support/headgate.ts";
import { atAddress } from "../support/postgres-admin.ts";
import { asRole, query, tablesOf, until } from "../support/query.ts";
import { race } from "../support/race.ts";
import { openRelay, type Relay } from "../support/relay.ts";
import {
  type Credentials,
  type Database,
  openSubstrate,
  type Pgbouncer,
  type PostgresServer,
  type Substrate,
} from "../support/substrate.ts";

const PATIENCE_MS = 60_000;
/** What a hash costs is no concern here. */
const CHEAP = {
  ARGON2ID_TIME_COST: "1",
  ARGON2ID_MEMORY_COST: "64",
  PLATFORM_ADMIN_PASSWORD: "correct horse battery staple",
};
const SEEDED = {
  email_users: 1,
  email_auth_events: 1,
  roles: 5,
  email_teams: 1,
  email_team_members: 1,
  email_team_member_history: 1,
  user_roles: 2,
} as const;
const TABLES = Object.keys(SEEDED);
const NOTHING = Object.fromEntries(TABLES.map((table) => [table, 0]));
const NO_TRACE = `select where not exists (
  select from pg_locks where locktype = 'advisory'
  and database = (select oid from pg_database where datname = current_database())
) and not exists (
  select from pg_stat_activity where datname = current_database() and state like 'idle in%')`;

let substrate: Substrate;
let server: PostgresServer;
/** May read, and write where it is told. */
let reader: Credentials;
const poolers = new Map<string, Pgbouncer>();

beforeAll(async () => {
  substrate = await openSubstrate();
  server = await substrate.postgres();
  reader = await server.createRole();
  const users = [reader];
  const pools = [
    ["transaction, size 1", { poolMode: "transaction", poolSize: 1 }],
    ["transaction, size 2", { poolMode: "transaction", poolSize: 2 }],
    ["session", { poolMode: "session", poolSize: 4 }],
    ["statement", { poolMode: "statement", poolSize: 2 }],
  ] as const;
  for (const [name, options] of pools) {
    poolers.set(name, await substrate.pgbouncer(server, { ...options, users }));
  }
}, 120_000);
afterAll(() => substrate?.close());

/** Past any pooler without a name. */
function urlOf(database: Database, pool?: string): string {
  return pool === undefined ? database.url : poolers.get(pool)!.urlOf(database);
}

const failed = (run: Run): string => String(eventOf(run, "command.failed")?.["reason"]);
const hint = (run: Run): string => String(eventOf(run, "command.failed")?.["hint"]);
const along = (url: string, path: string): string =>
  `${url}?options=${encodeURIComponent(`-c search_path=${path}`)}`;

async function rowsOf(url: string, schema = "public"): Promise<Readonly<Record<string, number>>> {
  const counts = TABLES.map(
    (table) => `(select count(*)::int from ${schema}.${table}) as ${table}`,
  );
  const [row] = await query(url, `select ${counts.join(", ")}`);
  return { ...row };
}

async function migrate(url: string, ...args: readonly string[]): Promise<void> {
  const run = await headgate(["up", "--seed", "none", ...args], withUrl(url));
  expect(run).toMatchObject({ status: 0 });
}

const seedsTablesOf = async (url: string): Promise<readonly string[]> =>
  (await tablesOf(url)).filter((name) => name.endsWith("_seeds"));

describe("through a pooler of", () => {
  const POOLS = ["transaction, size 1", "transaction, size 2", "session"];

  test.each(POOLS)(
    "%s, one runner migrates and seeds, and a second has nothing to do",
    async (pool) => {
      const database = await server.createDatabase();
      const options = withUrl(urlOf(database, pool), CHEAP);
      const folder = migrationFolder({
        "1.sql": "insert into servers (id, name) values ('one', 'one') on conflict do nothing;",
      });
      const up = ["up", "--seeds", folder];
      const first = await headgate(up, options);
      expect([first.status, failed(first)]).toEqual([0, "undefined"]);
      expect(await rowsOf(database.url)).toEqual(SEEDED);
      for (const args of [up, ["seed", "--seeds", folder]]) {
        const again = await headgate(args, options);
        expect([again.status, eventOf(again, "gate.acquired")]).toEqual([0, undefined]);
      }
      const probe = await headgate(["probe", "--require-seeds", "--seeds", folder], options);
      expect(probe.status).toBe(0);
      expect(await rowsOf(database.url)).toEqual(SEEDED);
      await until(database.url, NO_TRACE, PATIENCE_MS);
    },
    60_000,
  );

  test.each(POOLS)(
    "%s, 12 runners seed once",
    async (pool) => {
      const database = await server.createDatabase();
      await migrate(database.url);
      await query(database.url, "create table witness (file text)");
      const folder = migrationFolder({ "1.sql": "insert into witness values ('1.sql');" });
      const args = ["up", "--seeds", folder];
      const { runs } = await race(12, args, withUrl(urlOf(database, pool), CHEAP));
      expect(runs.filter(({ status }) => status !== 0).map(({ stderr }) => stderr)).toEqual([]);
      const written = runs.flatMap(({ events }) =>
        events.filter(({ event }) => event === "seed.written"),
      );
      expect(written).toHaveLength(11);
      expect(await rowsOf(database.url)).toEqual(SEEDED);
      expect(await query(database.url, "select file from witness")).toEqual([{ file: "1.sql" }]);
      await until(database.url, NO_TRACE, PATIENCE_MS);
    },
    60_000,
  );
});

describe("through statement pooling", () => {
  test("seed is refused with the reason and the way out, and writes nothing", async () => {
    const database = await server.createDatabase();
    await migrate(database.url);
    const runs = await Promise.all(
      [["seed"], ["up"]].map((args) =>
        headgate(args, withUrl(urlOf(database, "statement"), CHEAP)),
      ),
    );
    expect(runs.map(({ status }) => status)).toEqual([2, 9]);
    for (const run of runs) {
      expect(failed(run)).toContain("it pools statements, which allows no transaction");
      expect(hint(run)).toContain("MIGRATION_DATABASE_URL");
    }
    expect(await rowsOf(database.url)).toEqual(NOTHING);
    expect(await seedsTablesOf(database.url)).toEqual([]);
  });

  test("what is seeded already needs no transaction", async () => {
    const database = await server.createDatabase();
    expect((await headgate(["up"], withUrl(database.url, CHEAP))).status).toBe(0);
    const options = withUrl(urlOf(database, "statement"), CHEAP);
    for (const args of [["up"], ["seed"], ["probe", "--require-seeds"]]) {
      expect([args, (await headgate(args, options)).status]).toEqual([args, 0]);
    }
  });

  test("MIGRATION_DATABASE_URL leads past it", async () => {
    const database = await server.createDatabase();
    const env = { ...CHEAP, MIGRATION_DATABASE_URL: database.url };
    const run = await headgate(["up"], withUrl(urlOf(database, "statement"), env));
    expect([run.status, failed(run)]).toEqual([0, "undefined"]);
    expect(await rowsOf(database.url)).toEqual(SEEDED);
  });
});

describe("MIGRATION_DATABASE_URL beside a pooled DATABASE_URL", () => {
  const through = (url: string, relay: Relay): string => `${atAddress(url, relay)}?sslmode=disable`;
  const writes = (relay: Relay): readonly string[] =>
    relay.queries().filter((text) => /\binsert into\b|\bbegin\b|advisory/i.test(text));

  test.each(["up", "seed"])(
    "%s writes through the former only",
    async (command) => {
      const database = await server.createDatabase();
      await migrate(database.url);
      const pooled = await openRelay(poolers.get("transaction, size 2")!);
      const direct = await openRelay(server);
      const env = { ...CHEAP, MIGRATION_DATABASE_URL: through(database.url, direct) };
      const run = await headgate([command], withUrl(through(database.url, pooled), env));
      expect([run.status, failed(run)]).toEqual([0, "undefined"]);
      expect(await rowsOf(database.url)).toEqual(SEEDED);
      expect([pooled.connections() > 0, writes(pooled)]).toEqual([true, []]);
      expect(writes(direct).length).toBeGreaterThan(11);
      const again = await headgate([command], withUrl(through(database.url, pooled), env));
      expect([again.status, eventOf(again, "gate.acquired")]).toEqual([0, undefined]);
      await Promise.all([pooled.close(), direct.close()]);
    },
    60_000,
  );

  test("is refused when it leads to another database, which is then not seeded for this one", async () => {
    const [main, other] = [await server.createDatabase(), await server.createDatabase()];
    await Promise.all([migrate(main.url), migrate(other.url)]);
    const env = { ...CHEAP, MIGRATION_DATABASE_URL: other.url };
    for (const command of ["up", "seed"]) {
      const run = await headgate([command], withUrl(urlOf(main, "transaction, size 2"), env));
      expect([command, run.status === 0, await rowsOf(main.url)]).toEqual([
        command,
        false,
        NOTHING,
      ]);
    }
  }, 60_000);
});

describe("a search path in the URL", () => {
  /** The same tables in both schemas, at head, each with a ledger of its own. */
  async function twice(): Promise<Database> {
    const database = await server.createDatabase();
    await query(database.url, "create schema tenant");
    await migrate(database.url);
    await migrate(along(database.url, "tenant"));
    expect([await rowsOf(database.url), await rowsOf(database.url, "tenant")]).toEqual([
      NOTHING,
      NOTHING,
    ]);
    return database;
  }

  const ways: readonly [how: string, pool: string | undefined, path: string][] = [
    ["direct", undefined, "tenant"],
    ["direct, with public behind it", undefined, "tenant,public"],
    ["pooled", "transaction, size 1", "tenant"],
    ["pooled, with public behind it", "transaction, size 2", "tenant,public"],
    ["pooled by session", "session", "tenant"],
  ];
  test.each(ways)(
    "seeds that schema and leaves public as it is (%s)",
    async (_how, pool, path) => {
      const database = await twice();
      const url = along(urlOf(database, pool), path);
      const folder = migrationFolder({ "1.sql": "update roles set description = 'seen';" });
      const options = withUrl(url, CHEAP);
      const run = await headgate(["up", "--seeds", folder], options);
      expect([run.status, failed(run)]).toEqual([0, "undefined"]);
      expect(await rowsOf(database.url, "tenant")).toEqual(SEEDED);
      expect(await rowsOf(database.url, "public")).toEqual(NOTHING);
      expect(await seedsTablesOf(database.url)).toEqual(["tenant.headgate_seeds"]);
      const seen = await query(database.url, "select distinct description as d from tenant.roles");
      expect(seen).toEqual([{ d: "seen" }]);
      const again = await headgate(["up", "--seeds", folder], options);
      expect([again.status, eventOf(again, "gate.acquired")]).toEqual([0, undefined]);
      const probe = ["probe", "--require-seeds", "--seeds", folder];
      expect((await headgate(probe, options)).status).toBe(0);
      expect((await headgate(probe, withUrl(database.url))).status).toBe(1);
    },
    60_000,
  );

  test("with MIGRATION_DATABASE_URL, that one's path counts for the writes", async () => {
    const database = await twice();
    const env = { ...CHEAP, MIGRATION_DATABASE_URL: along(database.url, "tenant") };
    const pooled = along(urlOf(database, "transaction, size 2"), "tenant");
    const run = await headgate(["up"], withUrl(pooled, env));
    expect([run.status, failed(run)]).toEqual([0, "undefined"]);
    expect(await rowsOf(database.url, "tenant")).toEqual(SEEDED);
    expect(await rowsOf(database.url, "public")).toEqual(NOTHING);
  }, 60_000);
});

describe("--ledger", () => {
  const names: readonly [ledger: string, seeds: string][] = [
    ["other.t", "other.t_seeds"],
    ["other.my_migrations", "other.my_seeds"],
    ["history", "public.history_seeds"],
  ];
  test.each(names)(
    "%s keeps what was seeded in %s",
    async (ledger, seeds) => {
      const database = await server.createDatabase();
      await query(database.url, "create schema other");
      const folder = migrationFolder({ "1.sql": "select 1;" });
      const args = ["--ledger", ledger, "--seeds", folder];
      const options = withUrl(urlOf(database, "transaction, size 2"), CHEAP);
      expect((await headgate(["up", ...args], options)).status).toBe(0);
      expect(await seedsTablesOf(database.url)).toEqual([seeds]);
      const names = await query(database.url, `select name from ${seeds} order by name`);
      expect(names.map(({ name }) => name)).toEqual(["custom", "rbac"]);
      expect(await rowsOf(database.url)).toEqual(SEEDED);
      expect((await headgate(["probe", "--require-seeds", ...args], options)).status).toBe(0);
      const again = await headgate(["up", ...args], options);
      expect([again.status, eventOf(again, "gate.acquired")]).toEqual([0, undefined]);
    },
    60_000,
  );
});

describe("a role that may only read", () => {
  const POOL = "transaction, size 2";

  async function readable(seeded: boolean): Promise<{ url: string; direct: string }> {
    const database = await server.createDatabase();
    if (seeded) expect((await headgate(["up"], withUrl(database.url, CHEAP))).status).toBe(0);
    else await migrate(database.url);
    await query(
      database.url,
      `grant usage on schema public to ${reader.user};
grant select on all tables in schema public to ${reader.user}`,
    );
    return { url: asRole(urlOf(database, POOL), reader), direct: database.url };
  }

  test("finds what is seeded, and writes nothing", async () => {
    const { url, direct } = await readable(true);
    await query(
      direct,
      `alter database ${new URL(direct).pathname.slice(1)} set default_transaction_read_only = on`,
    );
    for (const args of [
      ["up"],
      ["seed"],
      ["probe", "--require-seeds"],
      ["status", "--require-seeds"],
    ]) {
      const run = await headgate(args, withUrl(url, CHEAP));
      expect([args, run.status, failed(run)]).toEqual([args, 0, "undefined"]);
    }
  }, 60_000);

  test("is told what it lacks when something is to be seeded", async () => {
    const { url, direct } = await readable(false);
    const [up, seed, warned] = await Promise.all([
      headgate(["up"], withUrl(url, CHEAP)),
      headgate(["seed"], withUrl(url, CHEAP)),
      headgate(["up", "--seed-failure", "warn"], withUrl(url, CHEAP)),
    ]);
    expect([up.status, seed.status, warned.status]).toEqual([9, 7, 0]);
    for (const run of [up, seed]) {
      expect(failed(run)).toContain("permission denied");
      expect(hint(run)).toMatch(/^Grant /);
    }
    expect(eventOf(warned, "seed.failed")?.["reason"]).toContain("permission denied");
    expect(await rowsOf(direct)).toEqual(NOTHING);
  }, 60_000);

  test("is told which table it may not write, when the ledger is its own", async () => {
    const { url, direct } = await readable(false);
    await query(
      direct,
      `grant all on headgate_migrations to ${reader.user};
grant insert, update on email_users, email_auth_events to ${reader.user};
grant usage on sequence email_auth_events_id_seq to ${reader.user}`,
    );
    const run = await headgate(["up"], withUrl(url, CHEAP));
    expect(run.status).toBe(9);
    expect(failed(run)).toContain("Cannot seed create-role platform_admin");
    expect(failed(run)).toContain("permission denied for table roles (SQLSTATE 42501)");
    expect(hint(run)).toContain("Grant the role select, insert and update");
    expect(await rowsOf(direct)).toEqual(NOTHING);
    await until(direct, NO_TRACE, PATIENCE_MS);
  }, 60_000);
});
