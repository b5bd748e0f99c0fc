/**
 * Databases that another tool has made and migrates: both histories of an existing installation get
 * every row, and nothing that headgate keeps for itself.
 */
import { describe, expect, test } from "bun:test";
import { eventOf, headgate, type Run, withUrl } from "../support/headgate.ts";
import { createLineage, LINEAGES, type Lineage } from "../support/lineage.ts";
import { query, tablesOf } from "../support/query.ts";
import { ADMIN, EXPECTED, seedCounts } from "../support/seeds.ts";
import { useServers } from "../support/use-servers.ts";

const BOB = "bob@example.com";
const servers = useServers();

async function installed(lineage: Lineage, change = "select"): Promise<string> {
  const { url } = await servers.postgres.createDatabase();
  await createLineage(url, lineage);
  await query(url, change);
  return url;
}

function seed(url: string, ...flags: readonly string[]): Promise<Run> {
  return headgate(["seed", "--no-ledger", ...flags], withUrl(url));
}

/** A person, as the application would write one. */
const PERSON = `insert into email_users (id, email, password_hash, is_admin, is_active, auth_provider,
  password_hash_type, failed_login_attempts, created_at, updated_at, password_change_required)
values ('1', '${BOB}', 'x', false, true, 'local', 'argon2id', 0, now(), now(), false);`;

function team(name: string, visibility: string): string {
  return `insert into email_teams (id, name, slug, created_by, is_personal, visibility, created_at,
  updated_at, is_active)
values ('${name}', '${name}', '${name}', '${BOB}', false, '${visibility}', now(), now() - interval '1 day', true);`;
}

describe.each(LINEAGES)("on the %s lineage", (lineage) => {
  test("every row is created, and no table", async () => {
    const url = await installed(lineage);
    const tables = await tablesOf(url);
    const run = await seed(url);
    expect(run.status).toBe(0);
    expect(await seedCounts(url)).toEqual({ ...EXPECTED, records: 0 });
    expect(await tablesOf(url)).toEqual(tables);
    expect(eventOf(run, "ledger.created")).toBeUndefined();
  });

  test("a resource without an owner becomes the administrator's", async () => {
    const url = await installed(
      lineage,
      `insert into servers (id, name, created_at, updated_at, enabled, tags, version, visibility,
  oauth_enabled) values ('1', 'alpha', now(), now(), true, '[]', 1, 'private', false)`,
    );
    expect((await seed(url)).status).toBe(0);
    const owner = "select owner_email, visibility, team_id from servers";
    expect(await query(url, owner)).toEqual([
      { owner_email: null, visibility: "private", team_id: null },
    ]);
    expect((await seed(url, "--assign-orphans")).status).toBe(0);
    const [personal] = await query(url, "select id from email_teams where is_personal");
    expect(await query(url, owner)).toEqual([
      { owner_email: ADMIN, visibility: "public", team_id: personal?.["id"] },
    ]);
    expect(await seedCounts(url)).toEqual({ ...EXPECTED, records: 0 });
  });

  test("six at once create every row once", async () => {
    const url = await installed(lineage);
    const runs = await Promise.all(Array.from({ length: 6 }, () => seed(url)));
    expect(runs.map(({ status }) => status)).toEqual([0, 0, 0, 0, 0, 0]);
    expect(await seedCounts(url)).toEqual({ ...EXPECTED, records: 0 });
  }, 60_000);

  test("without --no-ledger it is a database that nobody has migrated", async () => {
    const url = await installed(lineage);
    const tables = await tablesOf(url);
    expect((await headgate(["seed"], withUrl(url))).status).toBe(3);
    expect((await seedCounts(url)).roles).toEqual({});
    expect(await tablesOf(url)).toEqual(tables);
  });

  test("people, teams and roles that were there before stay as they are", async () => {
    const url = await installed(
      lineage,
      `${PERSON}${team("platform-administrators-team", "public")}
insert into roles (id, name, scope, permissions, created_by, is_system_role, is_active, created_at, updated_at)
values ('1', 'auditor', 'global', '["audit:read"]', '${BOB}', false, true, now(), now());
insert into user_roles (id, user_email, role_id, scope, granted_by, granted_at, is_active)
values ('1', '${BOB}', '1', 'global', '${BOB}', now(), true);`,
    );
    const theirs = `select to_jsonb(u) as row from email_users u where email = '${BOB}'
union all select to_jsonb(t) from email_teams t where created_by = '${BOB}'
union all select to_jsonb(r) from roles r where created_by = '${BOB}'
union all select to_jsonb(g) from user_roles g where user_email = '${BOB}'`;
    const before = await query(url, theirs);
    expect(before).toHaveLength(4);
    expect((await seed(url)).status).toBe(0);
    expect(await query(url, theirs)).toEqual(before);
    expect(await query(url, "select slug from email_teams where is_personal")).toEqual([
      { slug: "platform-administrators-team-2" },
    ]);
  });
});

describe("on the lineage whose columns have no defaults", () => {
  test("a column without a default is a fact, so every value is given", async () => {
    const defaults = await query(
      await installed("orm"),
      `select table_name || '.' || column_name as name from information_schema.columns
where table_schema = 'public' and column_default is not null`,
    );
    expect(defaults).toEqual([{ name: "email_auth_events.id" }]);
  });

  test("a team whose visibility nobody knows becomes private, once", async () => {
    const url = await installed(
      "orm",
      PERSON + team("stray", "secret") + team("open", "public") + team("closed", "private"),
    );
    const others = "select to_jsonb(t) as row from email_teams t where id in ('open', 'closed')";
    const before = await query(url, others);
    const run = await seed(url, "--json");
    const [first] = JSON.parse(run.stdout).changes;
    expect(first.kind).toBe("normalise-team");
    expect(first.what).toContain('"secret"');
    const stray = "select xmin::text, visibility, updated_at from email_teams where id = 'stray'";
    const after = await query(url, stray);
    expect(after).toMatchObject([{ visibility: "private" }]);
    expect(await query(url, others)).toEqual(before);
    expect((await seed(url)).stdout).toBe("Nothing to seed\n");
    expect(await query(url, stray)).toEqual(after);
  });
});

/** What must be unique, as the refusal names it, and how to lose it. */
const UNIQUES: readonly [key: string, drop: string][] = [
  ["email_users (email)", "drop index ix_email_users_email"],
  ["email_teams (slug)", "alter table email_teams drop constraint uq_email_teams_slug"],
  [
    "email_team_members (team_id, user_email)",
    "alter table email_team_members drop constraint uq_team_member",
  ],
  ["roles (name, scope) where is_active", "drop index uq_roles_name_scope_active"],
  [
    "user_roles (role_id, scope, user_email) where is_active and scope_id is null",
    "drop index uq_user_roles_email_role_scope_null_active",
  ],
  [
    "user_roles (role_id, scope, scope_id, user_email) where is_active",
    "drop index uq_user_roles_email_role_scope_id_active",
  ],
];

describe("a unique constraint that is missing", () => {
  test.each(UNIQUES)("%s is named, and nothing is written", async (key, drop) => {
    const isTwice = key.startsWith("email_users");
    const all = "alter table email_users drop constraint uq_email_users_email cascade;";
    const url = await installed("orm", isTwice ? all + drop : drop);
    const run = await seed(url);
    expect(run.status).toBe(9);
    const reason = String(eventOf(run, "command.failed")?.["reason"]);
    expect(reason).toContain(key);
    for (const [other] of UNIQUES) if (other !== key) expect(reason).not.toContain(other);
    expect(await seedCounts(url)).toMatchObject({ roles: {}, grants: {}, admins: 0 });
  });

  test("one of two equal ones is enough", async () => {
    const url = await installed("orm", "drop index ix_email_users_email");
    expect((await seed(url)).status).toBe(0);
  });

  test.each([
    ["an expression", "create unique index on roles (lower(name), scope)"],
    ["another condition", "create unique index on roles (name, scope) where is_system_role"],
  ])("an index of %s is none", async (_what, index) => {
    const url = await installed("orm", `drop index uq_roles_name_scope_active; ${index}`);
    expect((await seed(url)).status).toBe(9);
  });
});
