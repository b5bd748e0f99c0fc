/**
 * Writes the gateway's RBAC rows, one at a time, in the gate's transaction. Every NOT NULL column
 * is given: one lineage of the schema has no defaults. Ids are the server's, as the application
 * writes them: dashed UUIDs for accounts, roles and grants, 32 hex digits for teams.
 */
import { asContention } from "../core/db-error.ts";
import { quoteIdentifier } from "../core/identifier.ts";
import type { AdminWish, TeamWish } from "../core/rbac.ts";
import type { RbacCatalog } from "../core/rbac-catalog.ts";
import type { Connection } from "../ports.ts";
import { type Inserted, idOf, insertOrFind, isViolationOf } from "./savepoint.ts";

/** Where to write, and which indexes tell a lost race. */
export type RbacTables = Pick<RbacCatalog, "schema" | "indexes">;

/** What no password fits; the application knows it. */
export const DISABLED = "!disabled";

const HEX_ID = "replace(gen_random_uuid()::text, '-', '')";

/** Makes a team private. */
export async function normaliseTeam(
  connection: Connection,
  { schema }: RbacTables,
  id: string,
): Promise<void> {
  await connection.bind(
    `update ${quoteIdentifier(schema)}.email_teams set visibility = 'private', updated_at = now()
where id = $1::text and visibility not in ('private', 'public')`,
    [id],
  );
}

/** The account and its audit row; only the account when somebody else was first. */
export async function insertAdmin(
  connection: Connection,
  { schema, indexes }: RbacTables,
  { email, fullName, mustChangePassword }: AdminWish,
  passwordHash: string,
): Promise<Inserted> {
  const s = quoteIdentifier(schema);
  const admin = await insertOrFind(connection, indexes.admin, {
    insert: async () =>
      idOf(
        await connection.bind(
          `insert into ${s}.email_users (id, email, password_hash, full_name, is_admin, is_active,
  email_verified_at, auth_provider, password_hash_type, failed_login_attempts, created_at,
  updated_at, password_change_required, password_changed_at, admin_origin)
values (gen_random_uuid()::text, $1::text, $2::text, $3::text, true, true, now(), 'local',
  'argon2id', 0, now(), now(), $4::boolean, now(), 'api')
returning id`,
          [email, passwordHash, fullName, mustChangePassword],
        ),
      ),
    find: async () =>
      idOf(
        await connection.bind(`select id from ${s}.email_users where email = $1::text`, [email]),
      ),
  });
  if (admin.isOurs) {
    await connection.bind(
      `insert into ${s}.email_auth_events ("timestamp", user_email, event_type, success)
values (now(), $1::text, 'registration', true)`,
      [email],
    );
  }
  return admin;
}

/** Only where there is none. False: somebody has set one meanwhile. */
export async function setFirstPassword(
  connection: Connection,
  { schema }: RbacTables,
  { email, mustChangePassword }: AdminWish,
  passwordHash: string,
): Promise<boolean> {
  const { rows } = await connection.bind(
    `update ${quoteIdentifier(schema)}.email_users
set password_hash = $2::text, password_hash_type = 'argon2id', password_changed_at = now(),
  password_change_required = $3::boolean, updated_at = now()
where email = $1::text and password_hash = '!disabled'
returning id`,
    [email, passwordHash, mustChangePassword],
  );
  return rows.length === 1;
}

/** The admin is an administrator again. */
export async function promoteAdmin(
  connection: Connection,
  { schema }: RbacTables,
  email: string,
): Promise<void> {
  await connection.bind(
    `update ${quoteIdentifier(schema)}.email_users set is_admin = true, updated_at = now()
where email = $1::text and not is_admin`,
    [email],
  );
}

/** The admin's personal team. A slug that somebody else's team took meanwhile needs a new look. */
export async function insertTeam(
  connection: Connection,
  { schema, indexes }: RbacTables,
  { name, slug }: TeamWish,
  email: string,
): Promise<Inserted> {
  const s = quoteIdentifier(schema);
  return insertOrFind(connection, indexes.team, {
    insert: async () =>
      idOf(
        await connection.bind(
          `insert into ${s}.email_teams (id, name, slug, description, created_by, is_personal,
  visibility, created_at, updated_at, is_active)
values (${HEX_ID}, $1::text, $2::text, 'Personal workspace for ' || $3::text, $3::text, true,
  'private', now(), now(), true)
returning id`,
          [name, slug, email],
        ),
      ),
    find: async () =>
      idOf(
        await connection.bind(
          `select id from ${s}.email_teams
where slug = $1::text and created_by = $2::text and is_personal and is_active`,
          [slug, email],
        ),
      ),
  }).catch((error: unknown) => {
    throw isViolationOf(error, indexes.team) ? asContention(error) : error;
  });
}

/** The owner's row; there may be one that was left by the team's creation elsewhere. */
export async function insertMember(
  connection: Connection,
  { schema, indexes }: RbacTables,
  teamId: string,
  email: string,
): Promise<Inserted> {
  const s = quoteIdentifier(schema);
  return insertOrFind(connection, indexes.member, {
    insert: async () =>
      idOf(
        await connection.bind(
          `insert into ${s}.email_team_members (id, team_id, user_email, role, joined_at, is_active)
values (${HEX_ID}, $1::text, $2::text, 'owner', now(), true)
returning id`,
          [teamId, email],
        ),
      ),
    find: async () =>
      idOf(
        await connection.bind(
          `select id from ${s}.email_team_members where team_id = $1::text and user_email = $2::text`,
          [teamId, email],
        ),
      ),
  });
}

/** That the owner was added, by nobody else. False: it was written meanwhile. */
export async function insertHistory(
  connection: Connection,
  { schema }: RbacTables,
  teamId: string,
  email: string,
): Promise<boolean> {
  const s = quoteIdentifier(schema);
  const { rows } = await connection.bind(
    `insert into ${s}.email_team_member_history (id, team_member_id, team_id, user_email, role,
  action, action_by, action_timestamp)
select ${HEX_ID}, m.id, m.team_id, m.user_email, m.role, 'added', m.user_email, now()
from ${s}.email_team_members m
where m.team_id = $1::text and m.user_email = $2::text and not exists (
  select from ${s}.email_team_member_history h
  where h.team_id = m.team_id and h.user_email = m.user_email and h.action = 'added')
returning id`,
    [teamId, email],
  );
  return rows.length === 1;
}
