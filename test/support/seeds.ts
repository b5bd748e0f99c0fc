/** Databases that are at head but not, or half, seeded; and what is there once they have been. */
import { headgate, withUrl } from "./headgate.ts";
import { urlOf } from "./postgres-admin.ts";
import { query } from "./query.ts";
import type { Database, PostgresServer } from "./substrate.ts";

/** Whom `headgate seed` makes the admin when no variable says otherwise. */
export const ADMIN = "admin@example.com";

/** What the seeded tables hold. A key of `roles` and `grants` is `name (scope)`. */
export interface SeedCounts {
  /** Active ones. */
  readonly roles: Readonly<Record<string, number>>;
  /** Active ones; the key ends in " on the personal team" or " on another team" where it holds. */
  readonly grants: Readonly<Record<string, number>>;
  readonly admins: number;
  /** Registrations in the log of sign-ins. */
  readonly registrations: number;
  readonly personalTeams: number;
  readonly members: number;
  readonly history: number;
  /** Rows of `headgate_seeds`; 0 also when the table is not there. */
  readonly records: number;
  readonly advisoryLocks: number;
  readonly openTransactions: number;
}

/** After any number of seeders of a database without other accounts. */
export const EXPECTED: SeedCounts = {
  roles: {
    "developer (team)": 1,
    "platform_admin (global)": 1,
    "platform_viewer (global)": 1,
    "team_admin (team)": 1,
    "viewer (team)": 1,
  },
  grants: { "platform_admin (global)": 1, "team_admin (team) on the personal team": 1 },
  admins: 1,
  registrations: 1,
  personalTeams: 1,
  members: 1,
  history: 1,
  records: 1,
  advisoryLocks: 0,
  openTransactions: 0,
};

/** Asked on a connection of its own, past any pooler. */
export async function seedCounts(url: string): Promise<SeedCounts> {
  const [row] = await query(url, COUNTS);
  const [table] = await query(url, "select to_regclass('headgate_seeds') is not null as is_there");
  const records = table?.["is_there"] === true ? await countOf(url, "headgate_seeds") : 0;
  return { ...(row?.["counts"] as Omit<SeedCounts, "records">), records };
}

async function countOf(url: string, table: string): Promise<number> {
  const [row] = await query(url, `select count(*)::int as n from ${table}`);
  return Number(row?.["n"]);
}

const COUNTS = `select json_build_object(
  'roles', (select coalesce(json_object_agg(what, n), '{}') from (
    select name || ' (' || scope || ')' as what, count(*) as n
    from roles where is_active group by what) as counted),
  'grants', (select coalesce(json_object_agg(what, n), '{}') from (
    select r.name || ' (' || g.scope || ')' || case
        when g.scope_id is null then ''
        when exists (select from email_teams t where t.id = g.scope_id and t.is_personal)
        then ' on the personal team' else ' on another team' end as what,
      count(*) as n
    from user_roles g join roles r on r.id = g.role_id
    where g.is_active group by what) as counted),
  'admins', (select count(*) from email_users where is_admin),
  'registrations', (select count(*) from email_auth_events where event_type = 'registration'),
  'personalTeams', (select count(*) from email_teams where is_personal),
  'members', (select count(*) from email_team_members),
  'history', (select count(*) from email_team_member_history),
  'advisoryLocks', (select count(*) from pg_locks where locktype = 'advisory'
    and database = (select oid from pg_database where datname = current_database())),
  'openTransactions', (select count(*) from pg_stat_activity
    where datname = current_database() and backend_type = 'client backend'
      and xact_start is not null and pid <> pg_backend_pid())
) as counts`;

/** A database that others are copied from. */
export interface Template {
  copy(): Promise<Database>;
}

/**
 * Migrates a database to the embedded head without seeding it.
 *
 * @param change SQL that is run on it then.
 */
export async function templateAtHead(server: PostgresServer, change = ""): Promise<Template> {
  const { name, url } = await server.createDatabase();
  const { status, stderr } = await headgate(["up", "--seed", "none"], withUrl(url));
  if (status !== 0) throw new Error(`Cannot make a template, exit ${status}: ${stderr}`);
  if (change !== "") await query(url, change);
  let copies = 0;
  return {
    copy: async () => {
      copies += 1;
      const copied = `${name}_${copies}`;
      const postgres = urlOf(server, server, "postgres");
      await query(postgres, `create database ${copied} template ${name}`);
      return { name: copied, url: urlOf(server, server, copied) };
    },
  };
}

/** Together with what its sessions have open, such as those that a pooler keeps. */
export async function dropDatabase(server: PostgresServer, { name }: Database): Promise<void> {
  await query(urlOf(server, server, "postgres"), `drop database ${name} with (force)`);
}

const ACCOUNT = `
insert into email_users (id, email, password_hash, full_name, is_admin)
values ('00000000-0000-4000-8000-000000000001', '${ADMIN}', 'kept', 'Kept', true);
insert into email_auth_events (user_email, event_type, success)
values ('${ADMIN}', 'registration', true);
insert into email_teams (id, name, slug, created_by, is_personal)
values ('0123456789abcdef0123456789abcdef', 'Kept', 'kept', '${ADMIN}', true);`;

function roles(...names: readonly (readonly [name: string, scope: string])[]): string {
  const rows = names.map(
    ([name, scope]) =>
      `('${name}', '${name}', '${scope}', '["tools.read"]', '${ADMIN}', true, true)`,
  );
  return `insert into roles (id, name, scope, permissions, created_by, is_system_role, is_active)
values ${rows.join(", ")};`;
}

/** SQL that leaves a database seeded in part, as a seeder that commits row by row would if it died. */
export const HALVES: Readonly<Record<"account" | "grants", string>> = {
  /** The account, its team without the member, two of the five roles and no grant. */
  account: `${ACCOUNT}${roles(["platform_admin", "global"], ["viewer", "team"])}`,
  /** All but one role; the member without history; the one grant has expired, the other is missing. */
  grants: `${ACCOUNT}${roles(
    ["platform_admin", "global"],
    ["platform_viewer", "global"],
    ["team_admin", "team"],
    ["developer", "team"],
  )}
insert into email_team_members (id, team_id, user_email, role, joined_at)
values ('kept', '0123456789abcdef0123456789abcdef', '${ADMIN}', 'owner', now());
insert into user_roles (id, user_email, role_id, scope, granted_by, expires_at)
values ('kept', '${ADMIN}', 'platform_admin', 'global', '${ADMIN}', now() - interval '1 day');`,
};

/** Takes away what would refuse a second active role or grant. */
export const WITHOUT_RBAC_INDEXES: string = `
drop index uq_roles_name_scope_active;
drop index uq_user_roles_email_role_scope_null_active;
drop index uq_user_roles_email_role_scope_id_active;`;

/** Takes away what would refuse a second row of any seeded table, and the foreign keys that need it. */
export const WITHOUT_UNIQUES: string = `${WITHOUT_RBAC_INDEXES}
alter table email_team_members drop constraint uq_team_member;
alter table email_teams drop constraint uq_email_teams_slug;
alter table email_users drop constraint uq_email_users_email cascade;`;
