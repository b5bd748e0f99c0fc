/** Orphans against real tables: they are read, planned and given away, and no unique index minds. */
import { afterAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { loadTargets } from "../../src/config/connection-settings.ts";
import {
  isDerived,
  ORPHAN_TABLES,
  type OrphanChange,
  type OrphanTable,
  orphanKey,
} from "../../src/core/orphan.ts";
import { planOrphans } from "../../src/core/orphan-plan.ts";
import { slugify } from "../../src/core/slug.ts";
import { openConnection } from "../../src/db/connection.ts";
import { assignOrphan, type OrphanQuestion, readOrphans } from "../../src/db/orphans.ts";
import type { Connection, Row, Value } from "../../src/ports.ts";
import { useServers } from "../support/use-servers.ts";
import { randomNumbers } from "../unit/sql-fragments.ts";

const ADMIN = "admin@example.com";
const BOB = "bob@example.com";
const PERSONAL = "personal";
const RED = "red";
const WHO = { email: ADMIN, teamId: PERSONAL };
const FEDERATION_SOURCE = "mcpgateway-0.7.0-migration";

const folder = join(import.meta.dirname, "../../migrations");
const SCHEMA_TEXTS = readdirSync(folder)
  .filter((file) => file.endsWith(".sql"))
  .sort()
  .map((file) => readFileSync(join(folder, file), "utf8").split(/^-- migrate:.*\n/m)[1] ?? "");

const servers = useServers();
const connections: Connection[] = [];
afterAll(() => Promise.all(connections.map((connection) => connection.close())));

/** The gateway's tables with two accounts and two teams. */
async function openTables(schema = "public"): Promise<Tables> {
  const { url } = await servers.postgres.createDatabase();
  const env = { DATABASE_URL: url };
  const connection = openConnection({
    target: loadTargets({ env, readFile: () => undefined, flags: {} }).main,
    applicationName: "orphans-test",
    connectTimeoutMs: 5000,
  });
  connections.push(connection);
  const place = `"${schema.replaceAll('"', '""')}"`;
  await connection.run(`create schema if not exists ${place}; set search_path = ${place}`);
  for (const text of SCHEMA_TEXTS) await connection.run(text);
  await connection.run(`
    insert into email_users (id, email, password_hash)
    values ('1', '${ADMIN}', '!'), ('2', '${BOB}', '!');
    insert into email_teams (id, name, slug, created_by, is_personal)
    values ('${PERSONAL}', 'Mine', 'mine', '${ADMIN}', true), ('${RED}', 'Red', 'red', '${BOB}', false)`);
  return new Tables(connection, schema);
}

type Columns = Readonly<Record<string, Value>>;

/** What a row of each table needs besides its id. */
const REQUIRED: Readonly<Record<OrphanTable, (value: string) => Columns>> = {
  servers: (name) => ({ name }),
  tools: (name) => ({
    ...named(name),
    integration_type: "REST",
    request_type: "GET",
    input_schema: '""',
  }),
  resources: (uri) => ({ uri, name: uri }),
  prompts: (name) => ({ ...named(name), template: "", argument_schema: '""' }),
  gateways: (slug) => ({ slug, name: slug, url: "http://gateway", transport: "SSE" }),
  a2a_agents: (slug) => ({ slug, name: slug, endpoint_url: "http://agent" }),
};
const VALUE: Readonly<Record<OrphanTable, string>> = {
  servers: "name",
  tools: "name",
  resources: "uri",
  prompts: "name",
  gateways: "slug",
  a2a_agents: "slug",
};

function named(name: string): Columns {
  return { name, original_name: name, custom_name: name, custom_name_slug: name };
}

class Tables {
  readonly connection: Connection;
  readonly schema: string;

  constructor(connection: Connection, schema: string) {
    this.connection = connection;
    this.schema = schema;
  }

  /** Without owner and team, unless the columns say otherwise. */
  async add(table: OrphanTable, id: string, value: string, columns: Columns = {}): Promise<void> {
    const row = { id, ...REQUIRED[table](value), ...columns };
    const names = Object.keys(row);
    await this.connection.bind(
      `insert into ${table} (${names}) values (${names.map((_, at) => `$${at + 1}`)})`,
      Object.values(row),
    );
  }

  /** The admin's, in the personal team. */
  async addTaken(table: OrphanTable, value: string, columns: Columns = {}): Promise<void> {
    const owned = { owner_email: ADMIN, team_id: PERSONAL, ...columns };
    await this.add(table, `taken ${value}`.slice(0, 36), value, owned);
  }

  async rows(table: OrphanTable): Promise<readonly Row[]> {
    return (await this.connection.run(`select * from ${table} order by id`)).rows;
  }

  /** Row versions and contents: any write shows. */
  async row(table: OrphanTable, id: string): Promise<unknown> {
    const text = `select xmin::text, to_jsonb(t) as content from ${table} t where id = $1`;
    return (await this.connection.bind(text, [id])).rows[0];
  }

  /** One column by id. */
  async column(table: OrphanTable, name: string): Promise<Readonly<Record<string, unknown>>> {
    const rows = await this.rows(table);
    const orphans = rows.filter(({ id }) => !String(id).startsWith("taken "));
    return Object.fromEntries(orphans.map((row) => [String(row["id"]), row[name]]));
  }

  async values(table: OrphanTable): Promise<Readonly<Record<string, unknown>>> {
    return this.column(table, VALUE[table]);
  }

  async plan(changes: Partial<OrphanQuestion> = {}): Promise<readonly OrphanChange[]> {
    const question = { ...QUESTION, ...changes };
    const found = await readOrphans(this.connection, this.schema, question);
    const { mode: orphans, separator } = question;
    return planOrphans(found, { orphans, separator, personalTeamId: PERSONAL });
  }

  async assign(change: OrphanChange): Promise<boolean> {
    return assignOrphan(this.connection, this.schema, change, WHO);
  }

  /** Again and again, until there is nothing left; every row must take. */
  async giveAway(changes: Partial<OrphanQuestion> = {}): Promise<readonly OrphanChange[]> {
    const done: OrphanChange[] = [];
    for (;;) {
      const plan = await this.plan(changes);
      if (plan.length === 0) return done;
      for (const change of plan) expect(await this.assign(change)).toBe(true);
      done.push(...plan);
    }
  }
}

const QUESTION: OrphanQuestion = {
  email: ADMIN,
  mode: "ownerless",
  separator: "-",
  limit: 1000,
  except: [],
};

describe("orphans of all tables", () => {
  test("are given away table by table, the oldest first, under free values", async () => {
    const tables = await openTables();
    for (const table of [...ORPHAN_TABLES].reverse()) {
      await tables.addTaken(table, "x");
      await tables.add(table, "a", "x", { created_at: "2024-01-02Z" });
      await tables.add(table, "c", "x", { created_at: "2024-01-01Z" });
      await tables.add(table, "b", "x", { created_at: "2024-01-01Z" });
      await tables.add(table, "B", "y", { created_at: "2024-01-01Z" });
    }
    const changes = await tables.giveAway();
    const ids = ["B", "b", "c", "a"];
    expect(changes.map(orphanKey)).toEqual(
      ORPHAN_TABLES.flatMap((table) => ids.map((id) => `${table}/${id}`)),
    );
    for (const table of ORPHAN_TABLES) {
      expect(await tables.values(table)).toEqual({ B: "y", b: "x-2", c: "x-3", a: "x-4" });
      const rows = await tables.rows(table);
      for (const row of rows.filter(({ id }) => !String(id).startsWith("taken "))) {
        expect(row).toMatchObject({
          owner_email: ADMIN,
          team_id: PERSONAL,
          visibility: "public",
          federation_source: FEDERATION_SOURCE,
        });
      }
    }
  });

  test.each(ORPHAN_TABLES)("keep everything else, and a federation source: %s", async (table) => {
    const tables = await openTables();
    await tables.add(table, "a", "x", { federation_source: "elsewhere", visibility: "private" });
    await tables.add(table, "b", "y", { federation_source: "", modified_by: BOB });
    const [a, b] = await tables.rows(table);
    await tables.giveAway();
    const given = { owner_email: ADMIN, team_id: PERSONAL, visibility: "public" };
    expect(await tables.rows(table)).toEqual([
      { ...a, ...given },
      { ...b, ...given, federation_source: FEDERATION_SOURCE },
    ]);
  });

  test("stay in the team that they have", async () => {
    const tables = await openTables();
    for (const table of ORPHAN_TABLES) {
      await tables.addTaken(table, "x");
      await tables.addTaken(table, "y", { team_id: RED });
      await tables.add(table, "a", "x", { team_id: RED, visibility: "private" });
      await tables.add(table, "b", "y", { team_id: RED, visibility: "team" });
    }
    await tables.giveAway();
    for (const table of ORPHAN_TABLES) {
      expect(await tables.values(table)).toEqual({ a: "x", b: "y-2" });
      expect(await tables.column(table, "team_id")).toEqual({ a: RED, b: RED });
      expect(await tables.column(table, "visibility")).toEqual({ a: "private", b: "team" });
      expect(await tables.column(table, "owner_email")).toEqual({ a: ADMIN, b: ADMIN });
    }
  });

  test("stand in any schema, whatever the search path", async () => {
    const tables = await openTables('te"nant');
    for (const table of ORPHAN_TABLES) {
      await tables.addTaken(table, "x");
      await tables.add(table, "a", "x");
    }
    await tables.connection.run("set search_path = pg_catalog");
    expect(await tables.giveAway()).toHaveLength(ORPHAN_TABLES.length);
    await tables.connection.run(`set search_path = "te""nant"`);
    for (const table of ORPHAN_TABLES) expect(await tables.values(table)).toEqual({ a: "x-2" });
  });
});

describe("values that mean something to patterns or to SQL", () => {
  // biome-ignore format: a table
  const table: readonly [value: string, lookAlike: string][] = [
    ["a_b", "axb-7"],
    ["100%", "100 and more-7"],
    ["%", "anything-7"],
    ["back\\slash", "backslash-7"],
    ["it's", "its-7"],
    ['"quoted"', "quoted-7"],
    ["a.*(b", "a--(b-7"],
    ["$1", "x-7"],
    ["'; drop table servers; --", "-7"],
    ["größe 😀", "grosse-7"],
    ["\t\n", " -7"],
  ];
  test("stand for themselves", async () => {
    const tables = await openTables();
    for (const [at, [value, lookAlike]] of table.entries()) {
      await tables.addTaken("servers", value, { id: `taken ${at}` });
      await tables.addTaken("servers", lookAlike, { id: `taken look-alike ${at}` });
      await tables.add("servers", String(at), value);
    }
    await tables.giveAway();
    expect(await tables.values("servers")).toEqual(
      Object.fromEntries(table.map(([value], at) => [String(at), `${value}-2`])),
    );
  });
});

describe("tools and prompts", () => {
  const DERIVED = ORPHAN_TABLES.filter(isDerived);
  const cases = DERIVED.flatMap((table) => ["-", "_", "--"].map((each) => [table, each] as const));

  /** What the application makes of a row whenever it updates it. */
  function derive(row: Row, gateways: readonly Row[], separator: string): Columns {
    const gateway = gateways.find(({ id }) => id === row["gateway_id"]);
    const slug = slugify(String(row["custom_name"] ?? row["original_name"]), separator);
    const name = gateway ? slugify(String(gateway["name"]), separator) + separator + slug : slug;
    return { name, custom_name_slug: slug };
  }

  test.each(cases)(
    "%s are renamed so that the name survives (separator %s)",
    async (table, separator) => {
      const tables = await openTables();
      await tables.connection.run(`alter table ${table} alter column custom_name drop not null`);
      await tables.addTaken("gateways", "hub", { id: "hub", name: "The Hub" });
      const slug = (text: string): string => slugify(text, separator);
      const add = async (id: string, customName: string, columns: Columns = {}): Promise<void> =>
        tables.add(table, id, slug(columns["gateway_id"] ? `The Hub ${customName}` : customName), {
          original_name: `original ${id}`,
          custom_name: customName,
          custom_name_slug: slug(customName),
          ...columns,
        });
      const taken = { owner_email: ADMIN, team_id: PERSONAL };
      await add("taken local", "My Tool", taken);
      await add("taken local 4", "My Tool 4", taken);
      await add("taken federated", "My Tool", { ...taken, gateway_id: "hub" });
      await add("1", "My Tool");
      await add("2", "my-TOOL!");
      await add("3", "My Tool", { gateway_id: "hub" });
      await add("4", "100%_of it's");
      await add("5", "100% of its", { gateway_id: "hub" });
      await add("6", "100% of its");
      await add("7", "My Tool", { custom_name: null, original_name: "My Tool" });
      const changes = await tables.giveAway({ separator });

      expect(await tables.column(table, "custom_name")).toEqual({
        "1": "My Tool-5",
        "2": "my-TOOL!-6",
        "3": "My Tool-2",
        "4": "100%_of it's",
        "5": "100% of its",
        "6": "100% of its-2",
        "7": "My Tool-7",
      });
      expect(await tables.column(table, "original_name")).toMatchObject({
        "1": "original 1",
        "2": "original 2",
      });
      expect(changes.filter(({ rename }) => rename)).toHaveLength(5);
      const gateways = await tables.rows("gateways");
      for (const row of await tables.rows(table))
        expect(row).toMatchObject(derive(row, gateways, separator));
    },
  );

  test("with a name that nothing derives get one that is really free", async () => {
    const tables = await openTables();
    for (const table of DERIVED) {
      await tables.addTaken(table, "old");
      await tables.addTaken(table, "new-2");
      await tables.add(table, "a", "old", { custom_name: "New" });
    }
    await tables.giveAway();
    for (const table of DERIVED) expect(await tables.values(table)).toEqual({ a: "new-3" });
  });
});

describe("owned rows", () => {
  test("without a team are left alone by default, and taken when all are asked for", async () => {
    const tables = await openTables();
    const bobs = { owner_email: BOB, visibility: "private" };
    for (const table of ORPHAN_TABLES) {
      await tables.addTaken(table, "x");
      await tables.add(table, "a", "x", bobs);
      await tables.add(table, "b", "x", { ...bobs, team_id: RED });
      await tables.add(table, "c", "z", { owner_email: ADMIN, visibility: "private" });
    }
    const all = async (): Promise<unknown> =>
      Promise.all(
        ORPHAN_TABLES.flatMap((table) => ["a", "b", "c"].map((id) => tables.row(table, id))),
      );
    const before = await all();
    expect(await tables.giveAway()).toEqual([]);
    expect(await all()).toEqual(before);

    const changes = await tables.giveAway({ mode: "all" });
    expect(changes.map(({ id, ownerEmail }) => [id, ownerEmail])).toEqual(
      ORPHAN_TABLES.flatMap(() => [
        ["a", BOB],
        ["c", ADMIN],
      ]),
    );
    for (const table of ORPHAN_TABLES) {
      expect(await tables.values(table)).toEqual({ a: "x-2", b: "x", c: "z" });
      expect(await tables.column(table, "owner_email")).toEqual({ a: ADMIN, b: BOB, c: ADMIN });
      expect(await tables.column(table, "visibility")).toEqual({
        a: "public",
        b: "private",
        c: "public",
      });
      expect(await tables.column(table, "team_id")).toEqual({ a: PERSONAL, b: RED, c: PERSONAL });
    }
  });
});

describe("assignOrphan()", () => {
  // biome-ignore format: a table
  const table: readonly [when: string, mode: OrphanQuestion["mode"], orphan: Columns, meanwhile: string][] = [
    ["it got an owner", "ownerless", {}, `update servers set owner_email = '${BOB}'`],
    ["it got a team", "ownerless", {}, `update servers set team_id = '${RED}'`],
    ["it got another name", "ownerless", {}, "update servers set name = 'y'"],
    ["it is gone", "ownerless", {}, "delete from servers"],
    ["its owner changed", "all", { owner_email: BOB }, `update servers set owner_email = '${ADMIN}'`],
    ["its owner put it into a team", "all", { owner_email: BOB }, `update servers set team_id = '${RED}'`],
    ["its team changed", "ownerless", { team_id: RED }, `update servers set team_id = '${PERSONAL}'`],
  ];
  test.each(table)(
    "leaves a row alone when meanwhile %s",
    async (_when, mode, orphan, meanwhile) => {
      const tables = await openTables();
      await tables.add("servers", "a", "x", orphan);
      const [change] = await tables.plan({ mode });
      await tables.connection.run(meanwhile);
      const before = await tables.row("servers", "a");
      expect(change && (await tables.assign(change))).toBe(false);
      expect(await tables.row("servers", "a")).toEqual(before);
    },
  );

  test("says that the value was taken meanwhile, and the next plan finds another one", async () => {
    const tables = await openTables();
    await tables.add("tools", "a", "x");
    const [change] = await tables.plan();
    await tables.addTaken("tools", "x");
    const error = await tables.assign(change!).catch((caught: unknown) => caught);
    expect(error).toMatchObject({
      server: { sqlState: "23505", constraint: "uq_team_owner_email_name_tool" },
    });
    await tables.giveAway();
    expect(await tables.values("tools")).toEqual({ a: "x-2" });
  });
});

describe("readOrphans()", () => {
  test("reads in two statements, in one when there is none, and only reads", async () => {
    const tables = await openTables();
    const { connection, schema } = tables;
    const statements: string[] = [];
    const counting: Connection = {
      ...connection,
      bind: (text, values) => {
        statements.push(text);
        return connection.bind(text, values);
      },
    };
    await connection.run("begin read only");
    await readOrphans(counting, schema, QUESTION);
    expect(statements).toHaveLength(1);
    await connection.run("rollback");
    for (const table of ORPHAN_TABLES) await tables.add(table, "a", "x");
    await connection.run("begin read only");
    await readOrphans(counting, schema, QUESTION);
    expect(statements).toHaveLength(3);
    await connection.run("rollback");
  });

  test("reads no more than it is asked for, and not what failed before", async () => {
    const tables = await openTables();
    for (const table of ORPHAN_TABLES) {
      for (const id of ["a", "b"]) await tables.add(table, id, id);
    }
    const keys = async (limit: number, except: readonly string[]): Promise<readonly string[]> =>
      (await tables.plan({ limit, except })).map(orphanKey);
    expect(await keys(3, [])).toEqual(["servers/a", "servers/b", "tools/a"]);
    expect(await keys(3, ["servers/b", "tools/a"])).toEqual([
      "servers/a",
      "tools/b",
      "resources/a",
    ]);
    expect(await keys(100, [])).toHaveLength(12);
    expect(await keys(0, [])).toEqual([]);
  });

  test("reads of the admin's values only what can stand in the way", async () => {
    const tables = await openTables();
    for (const value of ["x", "x-2", "x2", "xy", "x-y", "x-2-2", "y", "X"])
      await tables.addTaken("servers", value);
    await tables.addTaken("tools", "x-3");
    await tables.addTaken("servers", "x-4", { team_id: RED });
    await tables.addTaken("servers", "x-5", { team_id: null });
    await tables.addTaken("servers", "x-6", { owner_email: BOB });
    await tables.add("servers", "a", "x");
    const { taken } = await readOrphans(tables.connection, tables.schema, QUESTION);
    const found = taken.map(({ table, teamId, value }) => `${table}/${teamId}/${value}`);
    expect(found.sort()).toEqual([
      "servers/personal/x",
      "servers/personal/x-2",
      "servers/personal/x2",
      "servers/red/x-4",
    ]);
  });
});

describe("random tables, in small steps, violate no index", () => {
  const NAMES = ["x", "X", "x-2", "x 2", "x_2", "x-2-2", "it's", "%", "", "n".repeat(255), "ä"];
  const OWNERS = [
    { owner_email: null, team_id: null },
    { owner_email: null, team_id: RED },
    { owner_email: BOB, team_id: null },
  ];

  function derivedColumns(customName: string, gateway: string | null): Columns {
    const slug = slugify(customName, "-");
    const name = gateway === null ? slug : `${gateway}-${slug}`.slice(0, 255);
    return { name, custom_name: customName, custom_name_slug: slug, gateway_id: gateway };
  }

  test.each([1, 2, 3])("(seed %d)", async (seed) => {
    const tables = await openTables();
    const next = randomNumbers(seed);
    const pick = <T>(items: readonly T[]): T => items[Math.floor(next() * items.length)] as T;
    const kept = { owner_email: BOB, team_id: RED };
    for (const id of ["x", "gw"]) await tables.add("gateways", id, id, kept);
    for (let at = 0; at < 240; at += 1) {
      const table = pick(ORPHAN_TABLES);
      const [name, owner, gateway] = [pick(NAMES), pick(OWNERS), pick([null, "x", "gw"])];
      const derived = { ...derivedColumns(name, gateway), original_name: String(at) };
      await tables.add(table, String(at), name, { ...owner, ...(isDerived(table) ? derived : {}) });
    }
    const ownerless = await tables.giveAway({ limit: 7 });
    const owned = await tables.giveAway({ limit: 7, mode: "all" });
    expect(owned.length).toBeGreaterThan(40);
    expect(ownerless.length + owned.length).toBe(240);
    expect(new Set([...ownerless, ...owned].map(orphanKey)).size).toBe(240);
  });
});
