/**
 * Random rows in the tables of the newest schema, random variables: one `seed` makes of them what the
 * model predicts, and the next one has nothing to do.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { loadSeedSettings } from "../../src/config/seed-settings.ts";
import { mergeRoles } from "../../src/core/merge-roles.ts";
import type { AccountsWish, RbacPlan } from "../../src/core/rbac.ts";
import { diffRbac } from "../../src/core/rbac-diff.ts";
import { loadRbacSpec } from "../../src/embed/rbac.ts";
import { migrationFolder } from "../support/folder.ts";
import { BINARY, headgate, type Run } from "../support/headgate.ts";
import { holdGate } from "../support/lock-holder.ts";
import { buildMutant, type Mutation } from "../support/mutant.ts";
import { query } from "../support/query.ts";
import {
  applied,
  DISABLED,
  foundIn,
  type Next,
  pick,
  type Rows,
  randomRows,
} from "../support/rbac-model.ts";
import { useServers } from "../support/use-servers.ts";
import { randomNumbers } from "../unit/sql-fragments.ts";

const SEEDS = Array.from({ length: 60 }, (_, seed) => seed);

const ROLES_TEXT = JSON.stringify([
  { name: "auditor", scope: "global", permissions: ["audit:read"], is_system_role: true },
  { name: "developer", scope: "team", permissions: ["tools.read", "tools.execute"] },
]);
const ROLES_FILE = join(migrationFolder({ "roles.json": ROLES_TEXT }), "roles.json");
const { roles: DEFAULTS } = await loadRbacSpec();

interface Case {
  readonly flags: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Whether the record of the case before stays. */
  readonly keepsRecord: boolean;
  readonly before: Rows;
  readonly plan: RbacPlan;
  readonly after: Rows;
}

function caseOf(seed: number): Case {
  const next = randomNumbers(seed);
  const { env, flags } = randomSettings(next);
  const accounts = wishOf(env, flags);
  const before = randomRows(next, { roles: accounts?.roles ?? DEFAULTS, isConstrained: true });
  const plan = diffRbac({ accounts }, foundIn(before, accounts));
  const hash = env["PLATFORM_ADMIN_PASSWORD"] === undefined ? DISABLED : "new";
  const after = applied(before, plan, accounts?.admin, hash);
  return { env, flags, before, plan, after, keepsRecord: next() < 0.5 };
}

function randomSettings(next: Next): Pick<Case, "env" | "flags"> {
  const some = (share: number, entries: Case["env"]): Case["env"] =>
    next() < share ? entries : {};
  const hasFile = next() < 0.4;
  const hasPassword = next() < 0.6;
  const flag = (share: number, ...words: readonly string[]): readonly string[] =>
    next() < share ? words : [];
  return {
    env: {
      ARGON2ID_TIME_COST: "1",
      ARGON2ID_MEMORY_COST: "8",
      DEFAULT_ADMIN_ROLE: pick(next, [
        "platform_admin",
        "platform_viewer",
        ...(hasFile ? ["auditor"] : []),
      ]),
      DEFAULT_TEAM_OWNER_ROLE: pick(next, ["team_admin", "developer", "viewer"]),
      GATEWAY_TOOL_NAME_SEPARATOR: pick(next, ["-", "_", "--", "."]),
      ...some(0.3, { PLATFORM_ADMIN_EMAIL: " Admin@Example.COM " }),
      ...some(0.1, { PLATFORM_ADMIN_FULL_NAME: "Red" }),
      ...some(0.1, { PERSONAL_TEAM_PREFIX: "Mine" }),
      ...some(0.15, { AUTO_CREATE_PERSONAL_TEAMS: "false" }),
      ...some(0.1, { EMAIL_AUTH_ENABLED: "false" }),
      ...(hasPassword ? { PLATFORM_ADMIN_PASSWORD: "a long enough password" } : {}),
    },
    flags: [
      "--assign-orphans",
      ...flag(0.4, "--take-owned"),
      ...(hasFile ? ["--roles", ROLES_FILE] : []),
      ...(hasPassword ? flag(0.5, "--enable-admin") : []),
    ],
  };
}

function wishOf(env: Case["env"], flags: Case["flags"]): AccountsWish | undefined {
  const { accounts, fileRoles } = loadSeedSettings({
    env,
    readFile: () => ROLES_TEXT,
    rolesFile: flags.includes("--roles") ? ROLES_FILE : undefined,
    requirePasswordChange: undefined,
    assignsOrphans: true,
    takesOwned: flags.includes("--take-owned"),
    enablesAdmin: flags.includes("--enable-admin"),
  });
  return accounts && { ...accounts, roles: mergeRoles(DEFAULTS, fileRoles ?? []) };
}

const servers = useServers();
let url: string;

beforeAll(async () => {
  ({ url } = await servers.postgres.createDatabase());
  const { status, stderr } = await headgate(["up", "--seed", "none"], {
    env: { DATABASE_URL: url },
  });
  if (status !== 0) throw new Error(`Cannot migrate: ${stderr}`);
  // One of the two lineages of the gateway's schema has no such check.
  await query(
    url,
    "alter table email_teams drop constraint ck_email_teams_ck_email_teams_visibility",
  );
}, 120_000);

/** The first table's columns, with what every row of it needs besides. */
const RESOURCES: Readonly<
  Record<string, readonly [value: string, others: string, values: string]>
> = {
  servers: ["name", "", ""],
  tools: [
    "name",
    ", original_name, custom_name, custom_name_slug, integration_type, request_type, input_schema",
    `, id, "customName", '', 'REST', 'GET', '{}'`,
  ],
  resources: ["uri", ", name", ", value"],
  prompts: [
    "name",
    ", original_name, custom_name, custom_name_slug, template, argument_schema",
    `, id, "customName", '', '', '{}'`,
  ],
  gateways: ["slug", ", name, url, transport", ", value, 'http://x', 'SSE'"],
  a2a_agents: ["slug", ", name, endpoint_url", ", value, 'http://x'"],
};

const AT = "timestamptz '2026-01-01' + place * interval '1 minute'";

/** A statement that writes rows of JSON, the oldest first. */
function insert(columns: string, types: string, values: string, rows: readonly object[]): string {
  const placed = rows.map((row, place) => ({ ...row, place }));
  return `insert into ${columns} select ${values} from json_to_recordset($rows$${JSON.stringify(placed)}$rows$)
  as given (place int, id text, ${types});`;
}

function insertAll({ accounts, teams, members, history, roles, grants, resources }: Rows): string {
  const creator = accounts[0]?.email ?? "";
  return [
    insert(
      "email_users (id, email, is_admin, password_hash, created_at)",
      `email text, "isAdmin" boolean, hash text`,
      `id, email, "isAdmin", hash, ${AT}`,
      accounts,
    ),
    insert(
      "email_teams (id, name, slug, created_by, is_personal, is_active, visibility, created_at)",
      `name text, slug text, "createdBy" text, "isPersonal" boolean, "isActive" boolean, visibility text`,
      `id, name, slug, "createdBy", "isPersonal", "isActive", visibility, ${AT}`,
      teams,
    ),
    insert(
      "email_team_members (id, team_id, user_email)",
      `"teamId" text, email text`,
      `id, "teamId", email`,
      members,
    ),
    insert(
      "email_team_member_history (id, team_member_id, team_id, user_email, action)",
      `"memberId" text, "teamId" text, email text, action text`,
      `id, "memberId", "teamId", email, action`,
      history,
    ),
    insert(
      "roles (id, name, scope, permissions, created_by, is_system_role, is_active, created_at)",
      `name text, scope text, permissions json, "isSystemRole" boolean, "isActive" boolean`,
      `id, name, scope, coalesce(permissions, 'null'), '${creator}', "isSystemRole", "isActive", ${AT}`,
      roles,
    ),
    insert(
      "user_roles (id, user_email, role_id, scope, scope_id, granted_by, is_active, expires_at, granted_at)",
      `email text, "roleId" text, scope text, "scopeId" text, "isExpired" boolean, "isActive" boolean`,
      `id, email, "roleId", scope, "scopeId", email, "isActive",
  case when "isExpired" then now() - interval '1 s' when place % 2 = 0 then now() + interval '1 day' end, ${AT}`,
      grants,
    ),
    ...Object.entries(RESOURCES).map(([table, [value, others, values]]) =>
      insert(
        `${table} (id, ${value}, team_id, owner_email, visibility, created_at${others})`,
        `value text, "customName" text, "teamId" text, "ownerEmail" text, visibility text`,
        `id, value, "teamId", "ownerEmail", visibility, ${AT}${values}`,
        resources.filter((row) => row.table === table),
      ),
    ),
  ].join("\n");
}

const TABLES = [
  "email_users",
  "email_teams",
  "email_team_members",
  "email_team_member_history",
  "email_auth_events",
  "roles",
  "user_roles",
  ...Object.keys(RESOURCES),
];

const LISTS: Readonly<Record<keyof Rows, string>> = {
  accounts: `select id, email, is_admin as "isAdmin",
    case when starts_with(password_hash, '$argon2id$') then 'new' else password_hash end as hash
    from email_users`,
  teams: `select id, name, slug, created_by as "createdBy", is_personal as "isPersonal",
    is_active as "isActive", visibility from email_teams`,
  members: `select id, team_id as "teamId", user_email as email from email_team_members`,
  history: `select id, team_member_id as "memberId", team_id as "teamId", user_email as email, action
    from email_team_member_history`,
  roles: `select id, name, scope, permissions, is_system_role as "isSystemRole",
    is_active as "isActive" from roles`,
  grants: `select id, user_email as email, role_id as "roleId", scope, scope_id as "scopeId",
    coalesce(expires_at < now(), false) as "isExpired", is_active as "isActive" from user_roles`,
  resources: Object.entries(RESOURCES)
    .map(([table, [value, others]]) => {
      const customName = others.includes("custom_name") ? "custom_name" : "null";
      return `select '${table}' as table, id, ${value} as value, ${customName} as "customName",
    null as "gatewayName", team_id as "teamId", owner_email as "ownerEmail", visibility from ${table}`;
    })
    .join(" union all "),
};

async function readRows(): Promise<Rows> {
  const lists = Object.entries(LISTS).map(
    ([name, text]) =>
      `'${name}', (select coalesce(json_agg(to_json(list)), '[]') from (${text}) as list)`,
  );
  const [row] = await query(url, `select json_build_object(${lists.join(", ")}) as rows`);
  return row?.["rows"] as Rows;
}

/** Every row of every table with all its columns, and the record. */
async function dump(): Promise<readonly string[]> {
  const lists = [...TABLES, "headgate_seeds"].map(
    (table) => `select '${table}: ' || t::text as line from ${table} t`,
  );
  const rows = await query(url, lists.join(" union all "));
  return rows.map((row) => String(row["line"])).sort();
}

/** As texts, in any order; a row that is not one of `before` has no id that could be predicted. */
function comparable(rows: Rows, before: Rows): readonly string[] {
  const known = new Set(
    Object.values(before).flatMap((list: { id: string }[]) => list.map(({ id }) => id)),
  );
  const names = new Map<string, string>();
  const name = (list: readonly { id: string }[], describe: (row: never) => string): void => {
    for (const row of list) if (!known.has(row.id)) names.set(row.id, describe(row as never));
  };
  name(rows.accounts, ({ email }: Rows["accounts"][number]) => `new account ${email}`);
  name(rows.teams, ({ slug }: Rows["teams"][number]) => `new team ${slug}`);
  name(rows.members, ({ email }: Rows["members"][number]) => `new member ${email}`);
  name(rows.history, () => "new history");
  name(rows.roles, (role: Rows["roles"][number]) => `new role ${role.name} ${role.scope}`);
  name(rows.grants, () => "new grant");
  return Object.entries(rows)
    .flatMap(([table, list]) =>
      list.map((row: object) => {
        const entries = Object.entries(row).map(([key, value]) => [key, names.get(value) ?? value]);
        return `${table} ${JSON.stringify(entries.sort())}`;
      }),
    )
    .sort();
}

interface Outcome {
  readonly first: Run;
  readonly rows: Rows;
  /** While somebody else holds the gate: whoever needs it fails at once. */
  readonly second: Run;
  /** Whether the second run left every row as it was. */
  readonly isStill: boolean;
}

async function outcomeOf(given: Case, binary = BINARY): Promise<Outcome> {
  const forget = given.keepsRecord ? "" : "drop table if exists headgate_seeds;";
  await query(url, `truncate ${TABLES.join(", ")}; ${forget} ${insertAll(given.before)}`);
  const seed = (lockWait: string): Promise<Run> =>
    headgate(["seed", "--json", "--lock-wait", lockWait, ...given.flags], {
      env: { DATABASE_URL: url, ...given.env },
      binary,
    });
  const first = await seed("60s");
  const rows = await readRows();
  const before = await dump();
  const holder = await holdGate(url);
  const second = await seed("0");
  await holder.release();
  return { first, rows, second, isStill: Bun.deepEquals(await dump(), before) };
}

const NOTHING = { changes: [], conflicts: [], files: [], password: null, skipped: null };

function reportOf({ stdout }: Run): Readonly<Record<string, unknown>> {
  return JSON.parse(stdout) as Readonly<Record<string, unknown>>;
}

describe("seed converges at once, as the model says:", () => {
  test.each(SEEDS)(
    "random rows %d",
    async (seed) => {
      const given = caseOf(seed);
      const { first, rows, second, isStill } = await outcomeOf(given);
      expect([first.status, first.stderr.match(/"level":"error".*/g)]).toEqual([0, null]);
      expect(comparable(rows, given.before)).toEqual(comparable(given.after, given.before));
      const kinds = given.plan.changes.map(({ kind }) => kind);
      const { changes, conflicts } = reportOf(first);
      expect((changes as { kind: string }[]).map(({ kind }) => kind)).toEqual(kinds);
      expect(conflicts).toEqual([]);
      expect(second.status).toBe(0);
      expect(reportOf(second)).toMatchObject(NOTHING);
      expect(isStill).toBe(true);
    },
    60_000,
  );

  test("the rows are read back as they were written", async () => {
    for (const seed of SEEDS.slice(0, 10)) {
      const { before } = caseOf(seed);
      await query(url, `truncate ${TABLES.join(", ")}; ${insertAll(before)}`);
      expect(comparable(await readRows(), before)).toEqual(comparable(before, before));
    }
  }, 60_000);

  test("the cases have every kind of change, and every number of a slug", () => {
    const changes = SEEDS.flatMap((seed) => caseOf(seed).plan.changes);
    const kinds = changes.map(({ kind }) => kind);
    const ends = changes.map((each) => (each.kind === "create-team" ? each.slug.slice(-2) : ""));
    expect(ends).toContain("am");
    expect(ends).toContain("-2");
    expect(ends).toContain("-3");
    expect([...new Set(kinds)].sort()).toEqual([
      "add-history",
      "add-member",
      "assign-orphan",
      "converge-role",
      "create-admin",
      "create-role",
      "create-team",
      "grant-role",
      "normalise-team",
      "promote-admin",
      "retire-grant",
      "set-password",
    ]);
  });
});

describe("these checks see", () => {
  const isRetired = ({ plan }: Case): boolean =>
    plan.changes.some(({ kind }) => kind === "retire-grant");
  const broken: readonly [what: string, mutation: Mutation, isApt: (given: Case) => boolean][] = [
    [
      "a seeder that holds an expired grant for held",
      { file: "db/rbac-read.ts", find: "coalesce(expires_at < now(), false)", replace: "false" },
      isRetired,
    ],
    [
      "a seeder that revives an expired grant instead",
      {
        file: "db/rbac-write-roles.ts",
        find: "set is_active = false",
        replace: "set expires_at = null",
      },
      isRetired,
    ],
  ];
  test.each(broken)(
    "%s",
    async (_what, mutation, isApt) => {
      const given = SEEDS.map(caseOf).find(isApt);
      if (!given) throw new Error("there is no such case");
      const { binary, remove } = await buildMutant(mutation);
      const { first, rows } = await outcomeOf(given, binary);
      remove();
      expect(first.status).toBe(0);
      expect(comparable(rows, given.before)).not.toEqual(comparable(given.after, given.before));
    },
    120_000,
  );

  test("a seeder that needs the gate to see that nothing is to do", async () => {
    const { binary, remove } = await buildMutant({
      file: "flow/seed.ts",
      find: "rbac: todo !== undefined",
      replace: "rbac: true",
    });
    const { first, second } = await outcomeOf(caseOf(0), binary);
    remove();
    expect([first.status, second.status]).toEqual([0, 6]);
  }, 120_000);
});

describe("a trigger that swallows what is written", () => {
  /** Seeds, makes a seeded database differ, and seeds again while no update of a table takes effect. */
  async function seedInVain(table: string, given: string): Promise<Run> {
    const seed = (): Promise<Run> =>
      headgate(["seed", "--assign-orphans", "--deadline", "30s"], { env: { DATABASE_URL: url } });
    await query(url, `truncate ${TABLES.join(", ")}`);
    expect((await seed()).status).toBe(0);
    await query(
      url,
      `${given};
create function swallow() returns trigger language plpgsql as 'begin return null; end';
create trigger swallow before update on ${table} for each row execute function swallow()`,
    );
    const run = await seed();
    await query(url, "drop function swallow cascade");
    return run;
  }

  const table: readonly [what: string, table: string, given: string][] = [
    ["a permission", "roles", "update roles set permissions = '[]' where name = 'viewer'"],
    ["the admin's rights", "email_users", "update email_users set is_admin = false"],
    ["an expired grant", "user_roles", "update user_roles set expires_at = now() - interval '1 s'"],
  ];
  test.each(table)(
    "ends the run instead of keeping it writing: %s",
    async (_what, name, given) => {
      const { status, stderr } = await seedInVain(name, given);
      expect([status, stderr.match(/"code":"[^"]*"/)?.[0]]).toEqual([9, '"code":"seed-failed"']);
    },
    60_000,
  );

  test("leaves a resource to its conflict", async () => {
    const run = await seedInVain("servers", "insert into servers (id, name) values ('1', 'x')");
    expect(run.status).toBe(0);
    expect(run.events.filter(({ event }) => event === "seed.conflict")).toHaveLength(1);
    const [row] = await query(url, "select owner_email from servers");
    expect(row?.["owner_email"]).toBeNull();
  }, 60_000);
});
