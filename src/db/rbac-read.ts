/** What the gateway's tables hold, as plain data: one question for everything but orphans. */
import * as v from "valibot";
import { quoteIdentifier } from "../core/identifier.ts";
import type { RbacFound } from "../core/rbac.ts";
import type { Connection } from "../ports.ts";

const text = v.string();
const foundSchema = v.object({
  stray_teams: v.array(v.object({ id: text, name: text, visibility: text })),
  admin: v.nullable(v.object({ is_admin: v.boolean(), is_disabled: v.boolean() })),
  roles: v.array(
    v.object({
      id: text,
      name: text,
      scope: text,
      permissions: v.fallback(v.array(text), []),
      is_system_role: v.boolean(),
    }),
  ),
  team: v.nullable(v.object({ id: text, has_member: v.boolean(), has_history: v.boolean() })),
  team_slugs: v.array(text),
  grants: v.array(
    v.object({
      id: text,
      role_id: text,
      scope: text,
      scope_id: v.nullable(text),
      is_expired: v.boolean(),
    }),
  ),
});

/** Whose rows matter; undefined: nobody's, only team visibility does. */
export interface Whose {
  readonly email: string;
  readonly teamSlug: string;
}

/** Everything but orphans. */
export async function readRbac(
  connection: Connection,
  schema: string,
  whose: Whose | undefined,
): Promise<Omit<RbacFound, "orphans">> {
  const s = quoteIdentifier(schema);
  const { rows } = await connection.bind(
    `select
  (select coalesce(json_agg(json_build_object('id', id, 'name', name, 'visibility', visibility)
      order by id), '[]'::json)
    from ${s}.email_teams where visibility not in ('private', 'public')) as stray_teams,
  (select json_build_object('is_admin', is_admin, 'is_disabled', password_hash = '!disabled')
    from ${s}.email_users where email = $1::text) as admin,
  (select coalesce(json_agg(json_build_object('id', id, 'name', name, 'scope', scope,
      'permissions', permissions, 'is_system_role', is_system_role)
      order by created_at, id collate "C"), '[]'::json)
    from ${s}.roles where is_active) as roles,
  (select json_build_object('id', t.id,
      'has_member', exists (select from ${s}.email_team_members m
        where m.team_id = t.id and m.user_email = $1::text),
      'has_history', exists (select from ${s}.email_team_member_history h
        where h.team_id = t.id and h.user_email = $1::text and h.action = 'added'))
    from ${s}.email_teams t where t.created_by = $1::text and t.is_personal and t.is_active
    order by t.created_at, t.id collate "C" limit 1) as team,
  (select coalesce(json_agg(slug), '[]'::json)
    from ${s}.email_teams where starts_with(slug, $2::text)) as team_slugs,
  (select coalesce(json_agg(json_build_object('id', id, 'role_id', role_id, 'scope', scope,
      'scope_id', scope_id, 'is_expired', coalesce(expires_at < now(), false))
      order by granted_at, id collate "C"), '[]'::json)
    from ${s}.user_roles where user_email = $1::text and is_active) as grants`,
    [whose?.email ?? null, whose?.teamSlug ?? null],
  );
  return toFound(v.parse(foundSchema, rows[0]));
}

function toFound(found: v.InferOutput<typeof foundSchema>): Omit<RbacFound, "orphans"> {
  const { admin, team } = found;
  return {
    strayTeams: found.stray_teams,
    admin: admin ? { isAdmin: admin.is_admin, isDisabled: admin.is_disabled } : undefined,
    roles: found.roles.map(({ is_system_role: isSystemRole, ...role }) => ({
      ...role,
      isSystemRole,
    })),
    team: team
      ? { id: team.id, hasMember: team.has_member, hasHistory: team.has_history }
      : undefined,
    teamSlugs: found.team_slugs,
    grants: found.grants.map(({ id, role_id, scope, scope_id, is_expired }) => ({
      id,
      roleId: role_id,
      scope,
      scopeId: scope_id,
      isExpired: is_expired,
    })),
  };
}

const duplicateSchema = v.object({ what: text, count: v.pipe(v.unknown(), v.transform(Number)) });

/** Active rows that should be one: `role viewer (team)`, with how many there are. */
export interface Duplicate {
  readonly what: string;
  readonly count: number;
}

/** Only asked where no unique index rules them out. */
export async function readDuplicates(
  connection: Connection,
  schema: string,
): Promise<readonly Duplicate[]> {
  const s = quoteIdentifier(schema);
  const { rows } = await connection.run(`select 'role ' || name || ' (' || scope || ')' as what,
  count(*) as count
from ${s}.roles where is_active group by name, scope having count(*) > 1
union all
select 'grant of ' || r.name || ' (' || g.scope || ') to ' || g.user_email, count(*)
from ${s}.user_roles g join ${s}.roles r on r.id = g.role_id
where g.is_active group by r.name, r.scope, g.scope, g.scope_id, g.user_email having count(*) > 1
order by what`);
  return rows.map((row) => v.parse(duplicateSchema, row));
}
