import { describe, expect, test } from "bun:test";
import {
  judgeCatalog,
  RBAC_COLUMNS,
  type RbacKey,
  type UniqueIndex,
} from "../../src/core/rbac-catalog.ts";

/** `email_users`, `email_users.id` and so on. */
const COLUMNS: ReadonlySet<string> = new Set(
  Object.entries(RBAC_COLUMNS).flatMap(([table, names]) => [
    table,
    ...names.split(" ").map((name) => `${table}.${name}`),
  ]),
);

function index(table: string, columns: string, predicate = ""): UniqueIndex {
  return { table, name: `uq ${table} ${columns} ${predicate}`.trim(), columns, predicate };
}

/** As the newest migration makes them. */
const INDEXES: Readonly<Record<RbacKey, UniqueIndex>> = {
  admin: index("email_users", "email"),
  team: index("email_teams", "slug"),
  member: index("email_team_members", "team_id, user_email"),
  role: index("roles", "name, scope", "is_active=true"),
  grant: index("user_roles", "role_id, scope, user_email", "scope_idISNULLANDis_active=true"),
  "team-grant": index(
    "user_roles",
    "role_id, scope, scope_id, user_email",
    "scope_idISNOTNULLANDis_active=true",
  ),
};
const KEYS = Object.keys(INDEXES) as readonly RbacKey[];

function without(key: RbacKey, ...instead: readonly UniqueIndex[]): readonly UniqueIndex[] {
  return [...KEYS.filter((each) => each !== key).map((each) => INDEXES[each]), ...instead];
}

describe("judgeCatalog()", () => {
  test("of the newest schema finds nothing missing, and which index backs what", () => {
    const { missing, unbacked, indexes } = judgeCatalog(COLUMNS, Object.values(INDEXES));
    expect([missing, unbacked]).toEqual([[], []]);
    expect(Object.entries(indexes)).toEqual(KEYS.map((key) => [key, [INDEXES[key].name]]));
  });

  test("of no tables names the tables, not their columns", () => {
    const { missing, unbacked } = judgeCatalog(new Set(), []);
    expect(missing).toEqual([
      "email_users",
      "email_teams",
      "email_team_members",
      "email_team_member_history",
      "email_auth_events",
      "roles",
      "user_roles",
    ]);
    expect(unbacked).toEqual([
      "email_users (email)",
      "email_teams (slug)",
      "email_team_members (team_id, user_email)",
      "roles (name, scope) where is_active",
      "user_roles (role_id, scope, user_email) where is_active and scope_id is null",
      "user_roles (role_id, scope, scope_id, user_email) where is_active",
    ]);
  });

  test("names every column that is missing, and no other one", () => {
    for (const name of COLUMNS) {
      const { missing } = judgeCatalog(new Set([...COLUMNS].filter((each) => each !== name)), []);
      expect(missing).toEqual([name]);
    }
    const more = new Set([...COLUMNS, "roles.another", "another_table"]);
    expect(judgeCatalog(more, []).missing).toEqual([]);
  });

  // biome-ignore format: a table
  const served: readonly [key: RbacKey, columns: string, predicate: string, then: boolean][] = [
    ["admin", "email", "", true],
    ["admin", "email", "is_active=true", false],
    ["admin", "email, is_active", "", false],
    ["team", "slug", "is_active", false],
    ["team", "name", "", false],
    ["member", "team_id, user_email", "is_active=true", false],
    ["role", "name, scope", "", true],
    ["role", "name, scope", "is_active", true],
    ["role", "name, scope", "is_active=true", true],
    ["role", "name, scope", "is_active=false", false],
    ["role", "name, scope", "NOTis_active", false],
    ["role", "name, scope", "is_system_role", false],
    ["role", "name, scope", "is_activeANDis_system_role", false],
    ["role", "name", "is_active", false],
    ["role", "created_by, name, scope", "is_active", false],
    ["grant", "role_id, scope, user_email", "", true],
    ["grant", "role_id, scope, user_email", "is_active", true],
    ["grant", "role_id, scope, user_email", "is_activeANDscope_idISNULL", true],
    ["grant", "role_id, scope, user_email", "scope_idISNULLANDis_active", true],
    ["grant", "role_id, scope, user_email", "is_active=trueANDscope_idISNULL", true],
    ["grant", "role_id, scope, user_email", "scope_idISNOTNULLANDis_active=true", false],
    ["grant", "role_id, scope, user_email", "scope_idISNULL", false],
    ["grant", "role_id, scope, scope_id, user_email", "", false],
    ["grant", "role_id, scope, scope_id, user_email", "is_active", false],
    ["team-grant", "role_id, scope, scope_id, user_email", "", true],
    ["team-grant", "role_id, scope, scope_id, user_email", "is_active=true", true],
    ["team-grant", "role_id, scope, scope_id, user_email", "is_activeANDscope_idISNOTNULL", true],
    ["team-grant", "role_id, scope, scope_id, user_email", "scope_idISNOTNULLANDis_active=true", true],
    ["team-grant", "role_id, scope, scope_id, user_email", "scope_idISNULLANDis_active=true", false],
    ["team-grant", "role_id, scope, user_email", "is_active", false],
  ];
  test.each(served)("%s by (%s) where %p: %p", (key, columns, predicate, then) => {
    const { table } = INDEXES[key];
    const instead = { ...index(table, columns, predicate), name: "instead" };
    const { unbacked, indexes } = judgeCatalog(COLUMNS, without(key, instead));
    expect(indexes[key]).toEqual(then ? ["instead"] : []);
    expect(unbacked).toHaveLength(then ? 0 : 1);
    const elsewhere = { ...instead, table: "another_table" };
    expect(judgeCatalog(COLUMNS, without(key, elsewhere)).indexes[key]).toEqual([]);
  });

  test("keeps every index behind a key: a lost race may violate either", () => {
    const second = { ...index("email_users", "email"), name: "ix_email_users_email" };
    const { indexes } = judgeCatalog(COLUMNS, [...Object.values(INDEXES), second]);
    expect(indexes.admin).toEqual([INDEXES.admin.name, "ix_email_users_email"]);
  });
});
