/**
 * The embedded migrations against a real server: they revert and re-apply without a trace, and the
 * last one repairs duplicate roles and grants before it forbids them.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import postgres from "postgres";
import { openSubstrate, type PostgresServer, type Substrate } from "../support/substrate.ts";

type Sql = postgres.Sql;

const folder = join(import.meta.dirname, "../../migrations");
const files = readdirSync(folder)
  .filter((file) => file.endsWith(".sql"))
  .sort();
const migrations = files.map((file) => {
  const [head, up, down] = readFileSync(join(folder, file), "utf8").split(/^-- migrate:.*\n/m);
  return { file, head: head ?? "", up: up ?? "", down: down ?? "" };
});
const repair = migrations.at(-1)!;
const beforeRepair = migrations.slice(0, -1);

let substrate: Substrate;
let server: PostgresServer;
const connections: Sql[] = [];

beforeAll(async () => {
  substrate = await openSubstrate();
  server = await substrate.postgres();
}, 60_000);

afterAll(async () => {
  await Promise.all(connections.map((sql) => sql.end({ timeout: 1 })));
  await substrate?.close();
}, 60_000);

function connect(url: string): Sql {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  connections.push(sql);
  return sql;
}

/** Runs each text in a transaction of its own, as the runner does. */
async function run(sql: Sql, texts: readonly string[]): Promise<void> {
  for (const text of texts) await sql.begin((tx) => tx.unsafe(text));
}

const applyUp = (sql: Sql, steps: typeof migrations) =>
  run(
    sql,
    steps.map((step) => step.up),
  );
const revert = (sql: Sql, steps: typeof migrations) =>
  run(sql, steps.map((step) => step.down).reverse());

async function openDatabase(steps: typeof migrations): Promise<{ sql: Sql; url: string }> {
  const { url } = await server.createDatabase();
  const sql = connect(url);
  await applyUp(sql, steps);
  return { sql, url };
}

/** Every object of the current schema, one line each. */
async function readCatalog(sql: Sql): Promise<string[]> {
  const rows = await sql.unsafe<{ line: string }[]>(`
    select line from (
      select format('column %s.%s %s notnull=%s identity=%s default=%s', c.relname, a.attname,
        format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
        pg_get_expr(d.adbin, d.adrelid)) as line
      from pg_class c
      join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
      left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
      where c.relnamespace = current_schema()::regnamespace and c.relkind = 'r'
      union all
      select format('constraint %s.%s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
      from pg_constraint where connamespace = current_schema()::regnamespace
      union all
      select format('index %s valid=%s', pg_get_indexdef(i.indexrelid), i.indisvalid)
      from pg_index i join pg_class c on c.oid = i.indexrelid
      where c.relnamespace = current_schema()::regnamespace
      union all
      select format('relation %s %s', relkind, relname)
      from pg_class where relnamespace = current_schema()::regnamespace
      union all
      select format('type %s', typname)
      from pg_type where typnamespace = current_schema()::regnamespace
      union all
      select format('function %s', proname)
      from pg_proc where pronamespace = current_schema()::regnamespace
    ) as listing order by line collate "C"`);
  return rows.map((row) => row.line);
}

/** Whole rows; xmin moves with every update, even one that writes the same values. */
async function readRbac(sql: Sql): Promise<string[]> {
  const rows = await sql.unsafe<{ line: string }[]>(`
    select line from (
      select 'role ' || r.xmin || ' ' || to_jsonb(r) as line from roles r
      union all
      select 'grant ' || g.xmin || ' ' || to_jsonb(g) as line from user_roles g
    ) as listing order by line collate "C"`);
  return rows.map((row) => row.line);
}

/** Returns once another session waits for a lock of the caller's. */
async function waitForBlocked(tx: postgres.TransactionSql): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    const rows = await tx`
      select pid from pg_stat_activity
      where datname = current_database() and pg_backend_pid() = any(pg_blocking_pids(pid))`;
    if (rows.length > 0) return;
    await Bun.sleep(20);
  }
  throw new Error("Cannot see the other session wait within 10 s");
}

const uniqueIndexes = [
  "uq_roles_name_scope_active",
  "uq_user_roles_email_role_scope_id_active",
  "uq_user_roles_email_role_scope_null_active",
];

async function readUniqueIndexes(sql: Sql): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    select c.relname as name from pg_index i join pg_class c on c.oid = i.indexrelid
    where c.relname = any(${uniqueIndexes}) and i.indisunique and i.indisvalid order by 1`;
  return rows.map((row) => row.name);
}

const setup = `
  insert into email_users (id, email, password_hash) values ('u0', 'root@example.com', '!');
  insert into roles (id, name, scope, created_by, is_active, created_at, updated_at) values
    ('viewer-z-oldest', 'viewer', 'global', 'root@example.com', true, '2024-01-01Z', '2024-01-01Z'),
    ('viewer-b',        'viewer', 'global', 'root@example.com', true, '2024-01-02Z', '2024-01-02Z'),
    ('viewer-a',        'viewer', 'global', 'root@example.com', true, '2024-01-02Z', '2024-01-02Z'),
    ('viewer-retired', 'viewer', 'global', 'root@example.com', false, '2023-01-01Z', '2023-01-01Z'),
    ('viewer-team',     'viewer', 'team',   'root@example.com', true, '2024-01-03Z', '2024-01-03Z'),
    ('tied-b',          'tied',   'team',   'root@example.com', true, '2024-01-04Z', '2024-01-04Z'),
    ('tied-a',          'tied',   'team',   'root@example.com', true, '2024-01-04Z', '2024-01-04Z');`;

interface Grant {
  readonly id: string;
  readonly role: string;
  readonly scopeId?: string;
  readonly granted?: string;
  readonly expires?: string;
  readonly active?: boolean;
}

async function insertGrants(sql: Sql, email: string, grants: readonly Grant[]): Promise<void> {
  await sql`
    insert into email_users (id, email, password_hash) values (${email}, ${email}, '!')
    on conflict do nothing`;
  for (const grant of grants) {
    await sql`
      insert into user_roles
        (id, user_email, role_id, scope, scope_id, granted_by, granted_at, expires_at, is_active)
      values (${grant.id}, ${email}, ${grant.role}, ${grant.scopeId ? "team" : "global"},
        ${grant.scopeId ?? null}, 'root@example.com', ${grant.granted ?? "2024-06-01Z"},
        ${grant.expires ?? null}, ${grant.active ?? true})`;
  }
}

const past = "2024-07-01Z";
const future = "2999-01-01Z";
const winner = "viewer-z-oldest";

/** Ids are unique over all cases; each case has a person of its own. `then` lists id, role, active. */
const grantCases: readonly [
  when: string,
  grants: readonly Grant[],
  then: [id: string, role: string, active: boolean][],
][] = [
  [
    "two without a scope_id: the newest wins",
    [
      { id: "a1", role: winner, granted: "2024-06-01Z" },
      { id: "a2", role: winner, granted: "2024-06-02Z" },
    ],
    [
      ["a1", winner, false],
      ["a2", winner, true],
    ],
  ],
  [
    "three in one team: the newest wins",
    [
      { id: "b1", role: "viewer-team", scopeId: "t1", granted: "2024-06-03Z" },
      { id: "b2", role: "viewer-team", scopeId: "t1", granted: "2024-06-02Z" },
      { id: "b3", role: "viewer-team", scopeId: "t1", granted: "2024-06-01Z" },
    ],
    [
      ["b1", "viewer-team", true],
      ["b2", "viewer-team", false],
      ["b3", "viewer-team", false],
    ],
  ],
  [
    "one per team: both stay",
    [
      { id: "c1", role: "viewer-team", scopeId: "t1" },
      { id: "c2", role: "viewer-team", scopeId: "t2" },
    ],
    [
      ["c1", "viewer-team", true],
      ["c2", "viewer-team", true],
    ],
  ],
  [
    "the newest is expired: an older one without expiry wins",
    [
      { id: "d1", role: winner, granted: "2024-06-01Z" },
      { id: "d2", role: winner, granted: "2024-06-02Z", expires: past },
    ],
    [
      ["d1", winner, true],
      ["d2", winner, false],
    ],
  ],
  [
    "the newest is expired: an older one that still holds wins",
    [
      { id: "e1", role: "viewer-team", scopeId: "t1", granted: "2024-06-01Z", expires: future },
      { id: "e2", role: "viewer-team", scopeId: "t1", granted: "2024-06-02Z", expires: past },
    ],
    [
      ["e1", "viewer-team", true],
      ["e2", "viewer-team", false],
    ],
  ],
  [
    "one never expires and a newer one still holds: the newest wins",
    [
      { id: "n1", role: winner, granted: "2024-06-01Z" },
      { id: "n2", role: winner, granted: "2024-06-02Z", expires: future },
    ],
    [
      ["n1", winner, false],
      ["n2", winner, true],
    ],
  ],
  [
    "all are expired: the newest wins",
    [
      { id: "f1", role: winner, granted: "2024-06-01Z", expires: past },
      { id: "f2", role: winner, granted: "2024-06-02Z", expires: past },
    ],
    [
      ["f1", winner, false],
      ["f2", winner, true],
    ],
  ],
  [
    "granted at the same moment: the lowest id wins",
    [
      { id: "g2", role: winner },
      { id: "g1", role: winner },
    ],
    [
      ["g1", winner, true],
      ["g2", winner, false],
    ],
  ],
  [
    "a newer one is revoked: it neither wins nor returns",
    [
      { id: "h1", role: winner, granted: "2024-06-01Z" },
      { id: "h2", role: winner, granted: "2024-06-02Z", active: false },
    ],
    [
      ["h1", winner, true],
      ["h2", winner, false],
    ],
  ],
  [
    "one through a losing role: it moves to the winner",
    [{ id: "i1", role: "viewer-a" }],
    [["i1", winner, true]],
  ],
  [
    "a revoked one through a losing role: it moves and stays revoked",
    [{ id: "j1", role: "viewer-b", active: false }],
    [["j1", winner, false]],
  ],
  [
    "one through each equal role: all move, the newest wins",
    [
      { id: "k1", role: winner, granted: "2024-06-01Z" },
      { id: "k2", role: "viewer-a", granted: "2024-06-03Z" },
      { id: "k3", role: "viewer-b", granted: "2024-06-02Z" },
    ],
    [
      ["k1", winner, false],
      ["k2", winner, true],
      ["k3", winner, false],
    ],
  ],
  [
    "one through each equal role in one team: all move, the newest wins",
    [
      { id: "l1", role: "tied-a", scopeId: "t1", granted: "2024-06-01Z" },
      { id: "l2", role: "tied-b", scopeId: "t1", granted: "2024-06-02Z" },
    ],
    [
      ["l1", "tied-a", false],
      ["l2", "tied-a", true],
    ],
  ],
  [
    "one through a role retired earlier: it is left alone",
    [{ id: "m1", role: "viewer-retired" }],
    [["m1", "viewer-retired", true]],
  ],
];

const emailOf = (grants: readonly Grant[]) => `${grants[0]!.id}@example.com`;

async function openDuplicates(): Promise<{ sql: Sql; url: string }> {
  const database = await openDatabase(beforeRepair);
  await database.sql.unsafe(setup);
  for (const [, grants] of grantCases) await insertGrants(database.sql, emailOf(grants), grants);
  return database;
}

describe("the files", () => {
  test("are at least ten and numbered without a gap", () => {
    expect(files.length).toBeGreaterThanOrEqual(10);
    files.forEach((file, index) => {
      expect(file).toMatch(/^\d{4}_[a-z0-9_]+\.sql$/);
      expect(Number(file.slice(0, 4))).toBe(index + 1);
    });
  });

  test.each(migrations.map((step) => [step.file, step] as const))(
    "%s has an up and a down part and nothing before them",
    (_file, step) => {
      expect(step.head).toBe("");
      expect(step.up.trim()).not.toBe("");
      expect(step.down.trim()).not.toBe("");
    },
  );
});

describe("the whole bundle", () => {
  test("up, down and up again leaves the same catalog, and nothing in between", async () => {
    const { sql } = await openDatabase([]);
    const empty = await readCatalog(sql);
    await applyUp(sql, migrations);
    const first = await readCatalog(sql);
    expect(first.length).toBeGreaterThan(500);
    await revert(sql, migrations);
    expect(await readCatalog(sql)).toEqual(empty);
    await applyUp(sql, migrations);
    expect(await readCatalog(sql)).toEqual(first);
  });

  test("each down reverts exactly its own up", async () => {
    const { sql } = await openDatabase([]);
    for (const step of migrations) {
      const before = await readCatalog(sql);
      await run(sql, [step.up, step.down]);
      expect(await readCatalog(sql)).toEqual(before);
      await run(sql, [step.up]);
    }
  });

  test("works in a schema other than public", async () => {
    const { sql } = await openDatabase([]);
    await sql.unsafe("create schema tenant");
    await sql.unsafe("set search_path = tenant");
    await applyUp(sql, migrations);
    const [row] = await sql`
      select count(*) filter (where schemaname = 'tenant')::int as tenant,
        count(*) filter (where schemaname = 'public')::int as public from pg_tables`;
    expect(row!["public"]).toBe(0);
    expect(row!["tenant"]).toBeGreaterThan(10);
  });
});

describe("the repair", () => {
  let repaired: Sql;

  beforeAll(async () => {
    repaired = (await openDuplicates()).sql;
    await applyUp(repaired, [repair]);
  }, 60_000);

  test("keeps the oldest active role, then the lowest id, and deactivates the others", async () => {
    const rows = await repaired`
      select id, is_active, updated_at > '2024-12-31Z' as moved from roles order by id collate "C"`;
    expect(rows.map((row) => [row["id"], row["is_active"], row["moved"]])).toEqual([
      ["tied-a", true, false],
      ["tied-b", false, true],
      ["viewer-a", false, true],
      ["viewer-b", false, true],
      ["viewer-retired", false, false],
      ["viewer-team", true, false],
      ["viewer-z-oldest", true, false],
    ]);
  });

  test.each(grantCases)("of grants: %s", async (_when, grants, then) => {
    const rows = await repaired`
      select id, role_id, is_active from user_roles
      where user_email = ${emailOf(grants)} order by id collate "C"`;
    expect(rows.map((row) => [row["id"], row["role_id"], row["is_active"]])).toEqual(then);
  });

  test("touches nothing but role_id and is_active of a grant", async () => {
    const { sql } = await openDuplicates();
    const readRest = () =>
      sql`select to_jsonb(g) - 'role_id' - 'is_active' as rest from user_roles g
        order by id collate "C"`.then((rows) => rows.map((row) => row["rest"]));
    const before = await readRest();
    await applyUp(sql, [repair]);
    expect(await readRest()).toEqual(before);
  });

  test("writes no row the second time", async () => {
    const { sql } = await openDuplicates();
    await applyUp(sql, [repair]);
    const first = [await readRbac(sql), await readCatalog(sql)];
    await applyUp(sql, [repair]);
    expect([await readRbac(sql), await readCatalog(sql)]).toEqual(first);
  });

  test.each([
    ["grants are constrained and roles are not", "drop index uq_roles_name_scope_active"],
    [
      "one grant index is missing",
      `drop index uq_roles_name_scope_active;
       drop index uq_user_roles_email_role_scope_null_active`,
    ],
  ])("merges roles although %s", async (_when, text) => {
    const { sql } = await openDatabase(migrations);
    await sql.unsafe(text);
    await sql.unsafe(setup);
    const grants = ["viewer-a", "viewer-b", winner].map((role, n) => ({ id: `x${n}`, role }));
    await insertGrants(sql, "x@example.com", grants);
    await applyUp(sql, [repair]);
    const rows = await sql`select id, role_id from user_roles where is_active`;
    expect(rows.map((row) => [row["id"], row["role_id"]])).toEqual([["x0", winner]]);
    expect(await readUniqueIndexes(sql)).toEqual(uniqueIndexes);
  });

  test.each([
    [
      "role",
      "roles",
      `insert into roles (id, name, scope, created_by)
       values ('late', 'viewer', 'global', 'root@example.com')`,
    ],
    [
      "grant",
      "user_roles",
      `insert into user_roles (id, user_email, role_id, scope, granted_by, granted_at)
       values ('late', 'a1@example.com', 'viewer-z-oldest', 'global', 'root@example.com',
         '2020-01-01Z')`,
    ],
  ])("waits for a writer and sees the %s it adds", async (_what, table, text) => {
    const { sql, url } = await openDuplicates();
    const writer = connect(url);
    let repairing: Promise<void> | undefined;
    await writer.begin(async (tx) => {
      await tx.unsafe(text);
      repairing = applyUp(sql, [repair]);
      await waitForBlocked(tx);
    });
    await repairing;
    const rows = await sql.unsafe(`select is_active from ${table} where id = 'late'`);
    expect(rows.map((row) => row["is_active"])).toEqual([false]);
  });

  test("keeps every writer out until it commits, and no reader", async () => {
    const { sql, url } = await openDuplicates();
    const writer = connect(url);
    await writer.unsafe("set lock_timeout = '200ms'");
    await sql.begin(async (tx) => {
      await tx.unsafe(repair.up);
      for (const table of ["roles", "user_roles"]) {
        const blocked = writer.unsafe(`update ${table} set is_active = true where false`);
        await expect(blocked.execute()).rejects.toMatchObject({ code: "55P03" });
        await writer.unsafe(`select count(id) from ${table}`);
      }
    });
  });

  test("down and up again changes no row", async () => {
    const { sql } = await openDuplicates();
    await applyUp(sql, [repair]);
    const first = [await readRbac(sql), await readCatalog(sql)];
    await revert(sql, [repair]);
    await applyUp(sql, [repair]);
    expect([await readRbac(sql), await readCatalog(sql)]).toEqual(first);
  });

  test("down drops the three indexes and changes no row", async () => {
    const { sql } = await openDuplicates();
    const catalog = await readCatalog(sql);
    await applyUp(sql, [repair]);
    const rows = await readRbac(sql);
    expect(await readUniqueIndexes(sql)).toEqual(uniqueIndexes);
    await revert(sql, [repair]);
    expect(await readUniqueIndexes(sql)).toEqual([]);
    expect(await readCatalog(sql)).toEqual(catalog);
    expect(await readRbac(sql)).toEqual(rows);
  });
});

describe("the constraint", () => {
  const people = `
    insert into email_users (id, email, password_hash) values ('u0', 'root@example.com', '!');
    insert into roles (id, name, scope, created_by) values
      ('everywhere', 'viewer', 'global', 'root@example.com'),
      ('in-team', 'viewer', 'team', 'root@example.com');`;

  const duplicates: readonly [what: string, table: string, index: string, text: string][] = [
    [
      "roles of one name and scope",
      "roles",
      "uq_roles_name_scope_active",
      `insert into roles (id, name, scope, created_by)
       values ($1, 'auditor', 'team', 'root@example.com')`,
    ],
    [
      "grants without a scope_id",
      "user_roles",
      "uq_user_roles_email_role_scope_null_active",
      `insert into user_roles (id, user_email, role_id, scope, granted_by)
       values ($1, 'root@example.com', 'everywhere', 'global', 'root@example.com')`,
    ],
    [
      "grants with one scope_id",
      "user_roles",
      "uq_user_roles_email_role_scope_id_active",
      `insert into user_roles (id, user_email, role_id, scope, scope_id, granted_by)
       values ($1, 'root@example.com', 'in-team', 'team', 't1', 'root@example.com')`,
    ],
  ];

  test.each(duplicates)("rejects two active %s", async (_what, table, index, text) => {
    const { sql } = await openDatabase(migrations);
    await sql.unsafe(people);
    await sql.unsafe(text, ["first"]);
    const second = sql.unsafe(text, ["second"]).execute();
    await expect(second).rejects.toMatchObject({ code: "23505", constraint_name: index });
    await sql.unsafe(`update ${table} set is_active = false where id = 'first'`);
    await sql.unsafe(text, ["second"]);
  });

  test.each(duplicates)("is what rejects two %s", async (_what, _table, index, text) => {
    const { sql } = await openDatabase(migrations);
    await sql.unsafe(people);
    await sql.unsafe(`drop index ${index}`);
    await sql.unsafe(text, ["first"]);
    await sql.unsafe(text, ["second"]);
  });
});
