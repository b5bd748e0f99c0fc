/**
 * A database without the unique indexes that make a second writer lose, and what has happened to it
 * meanwhile: seeding says what is wrong and writes nothing, unless it is told to; `up` repairs it.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { type Event, eventOf, headgate, type Run, withUrl } from "../support/headgate.ts";
import { buildMutant } from "../support/mutant.ts";
import { query } from "../support/query.ts";
import { ADMIN, EXPECTED, seedCounts, type Template, templateAtHead } from "../support/seeds.ts";
import { useServers } from "../support/use-servers.ts";

/** Without the last migration, which merges duplicates and adds the indexes. */
const REVERTED = `drop index uq_roles_name_scope_active, uq_user_roles_email_role_scope_null_active,
  uq_user_roles_email_role_scope_id_active;
delete from headgate_migrations where name = 'dedupe_then_constrain_rbac';`;

/** What seeders without a lock have left: one role three times, and grants of it. */
const DUPLICATES = `insert into email_users (id, email, password_hash) values ('1', 'bob@example.com', 'x');
insert into roles (id, name, scope, permissions, created_by, is_system_role, is_active, created_at)
select 'role-' || n, 'viewer', 'team', '["tools.read"]', 'bob@example.com', true, n <= 3,
  now() - (10 - n) * interval '1 hour' from generate_series(1, 4) as n;
insert into roles (id, name, scope, created_by) values ('single', 'single', 'global', 'bob@example.com');
insert into user_roles (id, user_email, role_id, scope, scope_id, granted_by, is_active)
select 'grant-' || n, 'bob@example.com', 'role-1', 'team', 'blue', 'bob@example.com', n <= 2
from generate_series(1, 3) as n;
insert into user_roles (id, user_email, role_id, scope, granted_by) values
  ('everywhere-1', 'bob@example.com', 'single', 'global', 'bob@example.com'),
  ('everywhere-2', 'bob@example.com', 'single', 'global', 'bob@example.com');`;

const KEYS = [
  "roles (name, scope) where is_active",
  "user_roles (role_id, scope, user_email) where is_active and scope_id is null",
  "user_roles (role_id, scope, scope_id, user_email) where is_active",
];
/** With how many there are. */
const FOUND: readonly (readonly [what: string, count: number])[] = [
  ["grant of single (global) to bob@example.com", 2],
  ["grant of viewer (team) to bob@example.com", 2],
  ["role viewer (team)", 3],
];

const servers = useServers();
let clean: Template;
let damaged: Template;
beforeAll(async () => {
  clean = await templateAtHead(servers.postgres, REVERTED);
  damaged = await templateAtHead(servers.postgres, REVERTED + DUPLICATES);
}, 60_000);

function seed(url: string, ...flags: readonly string[]): Promise<Run> {
  return headgate(["seed", "--no-ledger", ...flags], withUrl(url));
}

function warnings(run: Run): readonly Event[] {
  return run.events.filter(({ level }) => level === "warn");
}

/** Everything that seeding may write. */
function rbacRows(url: string) {
  return query(
    url,
    `select to_jsonb(r) as row from roles r union all select to_jsonb(g) from user_roles g
union all select to_jsonb(u) from email_users u union all select to_jsonb(t) from email_teams t
order by 1`,
  );
}

describe("without the indexes", () => {
  test("seed refuses, names each of them, and writes nothing", async () => {
    const { url } = await clean.copy();
    const run = await seed(url);
    expect(run.status).toBe(9);
    const failed = eventOf(run, "command.failed");
    for (const key of KEYS) expect(failed?.["reason"]).toContain(key);
    expect(failed?.["reason"]).not.toContain("duplicates");
    expect(failed?.["hint"]).toContain("--without-constraints");
    expect(await rbacRows(url)).toEqual([]);
  });

  test("--without-constraints seeds and warns", async () => {
    const { url } = await clean.copy();
    const run = await seed(url, "--without-constraints");
    expect(run.status).toBe(0);
    expect(eventOf(run, "seed.unconstrained")).toMatchObject({ level: "warn" });
    for (const key of KEYS) expect(eventOf(run, "seed.unconstrained")?.["missing"]).toContain(key);
    expect(await seedCounts(url)).toEqual({ ...EXPECTED, records: 0 });
    expect((await seed(url)).stdout).toBe("Nothing to seed\n");
  });

  test("six at once with --without-constraints still create every row once", async () => {
    const { url } = await clean.copy();
    const runs = await Promise.all(
      Array.from({ length: 6 }, () => seed(url, "--without-constraints")),
    );
    expect(runs.map(({ status }) => status)).toEqual([0, 0, 0, 0, 0, 0]);
    expect(await seedCounts(url)).toEqual({ ...EXPECTED, records: 0 });
  });

  test("without the refusal, nothing keeps two sessions from both being first", async () => {
    const mutant = await buildMutant({
      file: "flow/rbac-look.ts",
      find: "if (catalog.unbacked.length === 0) return [];",
      replace: "return [];",
    });
    const { url } = await clean.copy();
    const env = { HEADGATE_NO_LEDGER: "true" };
    const options = { ...withUrl(url, env), binary: mutant.binary };
    await query(
      url,
      `create function rival() returns trigger language plpgsql as $$ begin
  if new.name = 'viewer' and new.id <> 'rival' then
    insert into roles (id, name, scope, created_by) values ('rival', 'viewer', 'team', new.created_by);
  end if; return new; end $$;
create trigger rival before insert on roles for each row execute function rival()`,
    );
    const run = await headgate(["seed"], options);
    mutant.remove();
    expect(run.status).toBe(0);
    expect((await seedCounts(url)).roles["viewer (team)"]).toBe(2);
  });
});

describe("with duplicates", () => {
  test("seed refuses, counts every one, and writes nothing", async () => {
    const { url } = await damaged.copy();
    const before = await rbacRows(url);
    const run = await seed(url);
    expect(run.status).toBe(9);
    const reason = String(eventOf(run, "command.failed")?.["reason"]);
    for (const key of KEYS) expect(reason).toContain(key);
    for (const [what, count] of FOUND) expect(reason).toContain(`${what}: ${count} times`);
    expect(reason.match(/ times/g)).toHaveLength(FOUND.length);
    expect(await rbacRows(url)).toEqual(before);
  });

  test("--without-constraints seeds beside them, and warns of every one", async () => {
    const { url } = await damaged.copy();
    const run = await seed(url, "--without-constraints");
    expect(run.status).toBe(0);
    const seen = warnings(run).filter(({ event }) => event === "seed.duplicate");
    expect(seen.map(({ what, count }) => [what, count])).toEqual(FOUND.map((each) => [...each]));
    expect(await seedCounts(url)).toMatchObject({
      admins: 1,
      roles: { ...EXPECTED.roles, "viewer (team)": 3, "single (global)": 1 },
    });
  });

  test("once nothing is missing, seed only warns", async () => {
    const { url } = await damaged.copy();
    await seed(url, "--without-constraints");
    const before = await rbacRows(url);
    const run = await seed(url);
    expect(run.status).toBe(0);
    expect(run.stdout).toBe("Nothing to seed\n");
    expect(warnings(run).map(({ event }) => event)).toEqual(FOUND.map(() => "seed.duplicate"));
    expect(await rbacRows(url)).toEqual(before);
  });

  test.each([
    ["as they are", []],
    ["after seeding beside them", ["--without-constraints"]],
  ])("up merges them %s, adds the indexes and seeds", async (_when, flags) => {
    const { url } = await damaged.copy();
    expect((await seed(url, ...flags)).status).toBe(flags.length === 0 ? 9 : 0);
    const run = await headgate(["up"], withUrl(url));
    expect(run.status).toBe(0);
    expect(eventOf(run, "migration.applied")?.["name"]).toBe("dedupe_then_constrain_rbac");
    expect(warnings(run).filter(({ event }) => event !== "admin.disabled")).toEqual([]);
    const { roles, grants } = await seedCounts(url);
    expect(roles).toEqual({ ...EXPECTED.roles, "single (global)": 1 });
    expect(grants).toEqual({
      ...EXPECTED.grants,
      "single (global)": 1,
      "viewer (team) on another team": 1,
    });
    const winner = "select id, is_active from roles where id like 'role-%' order by id";
    expect(await query(url, winner)).toEqual([
      { id: "role-1", is_active: true },
      { id: "role-2", is_active: false },
      { id: "role-3", is_active: false },
      { id: "role-4", is_active: false },
    ]);
    expect((await headgate(["seed"], withUrl(url))).stdout).toBe("Nothing to seed\n");
  });

  test("the ledger's seed waits for that migration", async () => {
    const { url } = await damaged.copy();
    const before = await rbacRows(url);
    expect((await headgate(["seed"], withUrl(url))).status).toBe(3);
    expect(await rbacRows(url)).toEqual(before);
  });
});

test("an expired grant whose role was merged makes room for a new one", async () => {
  const { url } = await damaged.copy();
  await query(
    url,
    `insert into email_users (id, email, password_hash, is_admin) values ('2', '${ADMIN}', 'x', true);
insert into roles (id, name, scope, permissions, created_by, is_system_role)
values ('admin-1', 'platform_admin', 'global', '["*"]', '${ADMIN}', true), ('admin-2', 'platform_admin', 'global', '["*"]', '${ADMIN}', true);
insert into user_roles (id, user_email, role_id, scope, granted_by, expires_at)
values ('old', '${ADMIN}', 'admin-2', 'global', '${ADMIN}', now() - interval '1 day')`,
  );
  expect((await headgate(["up"], withUrl(url))).status).toBe(0);
  expect((await seedCounts(url)).grants["platform_admin (global)"]).toBe(1);
  expect(
    await query(
      url,
      "select role_id, is_active, expires_at is null as holds from user_roles where user_email = 'admin@example.com' and scope = 'global' order by is_active",
    ),
  ).toEqual([
    { role_id: "admin-1", is_active: false, holds: false },
    { role_id: "admin-1", is_active: true, holds: true },
  ]);
});
