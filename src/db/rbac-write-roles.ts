/** Writes roles, and whom they are granted to; see `rbac-write.ts` for what both obey. */
import { quoteIdentifier } from "../core/identifier.ts";
import type { RoleSpec } from "../core/rbac.ts";
import type { Connection } from "../ports.ts";
import type { RbacTables } from "./rbac-write.ts";
import { type Inserted, idOf, insertOrFind } from "./savepoint.ts";

/** An active role. */
export async function insertRole(
  connection: Connection,
  { schema, indexes }: RbacTables,
  role: RoleSpec,
  createdBy: string,
): Promise<Inserted> {
  const s = quoteIdentifier(schema);
  return insertOrFind(connection, indexes.role, {
    insert: async () =>
      idOf(
        await connection.bind(
          `insert into ${s}.roles (id, name, description, scope, permissions, created_by,
  is_system_role, is_active, created_at, updated_at)
values (gen_random_uuid()::text, $1::text, $2::text, $3::text, $4::text::json, $5::text,
  $6::boolean, true, now(), now())
returning id`,
          [
            role.name,
            role.description,
            role.scope,
            JSON.stringify(role.permissions),
            createdBy,
            role.isSystemRole,
          ],
        ),
      ),
    find: async () =>
      idOf(
        await connection.bind(
          `select id from ${s}.roles where name = $1::text and scope = $2::text and is_active`,
          [role.name, role.scope],
        ),
      ),
  });
}

/** A system role's permissions follow its definition. */
export async function convergeRole(
  connection: Connection,
  { schema }: RbacTables,
  id: string,
  permissions: readonly string[],
): Promise<void> {
  await connection.bind(
    `update ${quoteIdentifier(schema)}.roles set permissions = $2::text::json, updated_at = now()
where id = $1::text and is_system_role and is_active`,
    [id, JSON.stringify(permissions)],
  );
}

/** A grant that has expired makes room for a new one; it is not revived. */
export async function retireGrant(
  connection: Connection,
  { schema }: RbacTables,
  id: string,
): Promise<void> {
  await connection.bind(
    `update ${quoteIdentifier(schema)}.user_roles set is_active = false
where id = $1::text and is_active`,
    [id],
  );
}

/** Whom a role is granted to, and where it holds. */
export interface NewGrant {
  readonly email: string;
  readonly roleId: string;
  readonly scope: string;
  /** A team's id, or null for everywhere. */
  readonly scopeId: string | null;
}

/** An active grant without an end, granted by its own holder. */
export async function insertGrant(
  connection: Connection,
  { schema, indexes }: RbacTables,
  { email, roleId, scope, scopeId }: NewGrant,
): Promise<Inserted> {
  const s = quoteIdentifier(schema);
  const values = [email, roleId, scope, scopeId];
  return insertOrFind(connection, indexes[scopeId === null ? "grant" : "team-grant"], {
    insert: async () =>
      idOf(
        await connection.bind(
          `insert into ${s}.user_roles (id, user_email, role_id, scope, scope_id, granted_by,
  granted_at, is_active)
values (gen_random_uuid()::text, $1::text, $2::text, $3::text, $4::text, $1::text, now(), true)
returning id`,
          values,
        ),
      ),
    find: async () =>
      idOf(
        await connection.bind(
          `select id from ${s}.user_roles
where user_email = $1::text and role_id = $2::text and scope = $3::text
  and scope_id is not distinct from $4::text and is_active
  and (expires_at is null or expires_at >= now())`,
          values,
        ),
      ),
  });
}
