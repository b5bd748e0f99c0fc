/** What the seeders need of the gateway's tables, and what of it is there. */

/** What the seeders write, by table. Every NOT NULL column is here: one lineage has no defaults. */
export const RBAC_COLUMNS: Readonly<Record<string, string>> = {
  email_users:
    "id email password_hash full_name is_admin is_active email_verified_at auth_provider password_hash_type failed_login_attempts created_at updated_at password_change_required password_changed_at admin_origin",
  email_teams:
    "id name slug description created_by is_personal visibility created_at updated_at is_active",
  email_team_members: "id team_id user_email role joined_at is_active",
  email_team_member_history:
    "id team_member_id team_id user_email role action action_by action_timestamp",
  email_auth_events: "timestamp user_email event_type success",
  roles:
    "id name description scope permissions created_by is_system_role is_active created_at updated_at",
  user_roles: "id user_email role_id scope scope_id granted_by granted_at expires_at is_active",
};

/** What must be unique, so that no two writers can both be first. */
export type RbacKey = "admin" | "team" | "member" | "role" | "grant" | "team-grant";

interface Unique {
  readonly table: string;
  readonly columns: string;
  /** Predicates of partial indexes that serve too, without blanks and parentheses. */
  readonly predicates: readonly string[];
}

const ACTIVE = ["is_active", "is_active=true"];
const both = (other: string): readonly string[] =>
  ACTIVE.flatMap((active) => [`${other}AND${active}`, `${active}AND${other}`]);

const UNIQUES: Readonly<Record<RbacKey, Unique>> = {
  admin: { table: "email_users", columns: "email", predicates: [] },
  team: { table: "email_teams", columns: "slug", predicates: [] },
  member: { table: "email_team_members", columns: "team_id, user_email", predicates: [] },
  role: { table: "roles", columns: "name, scope", predicates: ACTIVE },
  grant: {
    table: "user_roles",
    columns: "role_id, scope, user_email",
    predicates: [...ACTIVE, ...both("scope_idISNULL")],
  },
  "team-grant": {
    table: "user_roles",
    columns: "role_id, scope, scope_id, user_email",
    predicates: [...ACTIVE, ...both("scope_idISNOTNULL")],
  },
};

/** The tables as far as seeding cares. */
export interface RbacCatalog {
  /** Where all of them stand. */
  readonly schema: string;
  /** `roles`, `user_roles.scope_id`: tables and columns that are not there. */
  readonly missing: readonly string[];
  /** What nothing keeps unique, such as `roles (name, scope)`. */
  readonly unbacked: readonly string[];
  /** The unique indexes behind each key; a violation of another one is no race. */
  readonly indexes: Readonly<Record<RbacKey, readonly string[]>>;
  /** Whether the table of what has been seeded exists. */
  readonly hasSeeds: boolean;
}

/** A unique index: its columns sorted by name, its predicate without blanks and parentheses. */
export interface UniqueIndex {
  readonly table: string;
  readonly name: string;
  readonly columns: string;
  readonly predicate: string;
}

/** What is missing, and which indexes back what. */
export function judgeCatalog(
  columns: ReadonlySet<string>,
  uniques: readonly UniqueIndex[],
): Pick<RbacCatalog, "missing" | "unbacked" | "indexes"> {
  const keys = Object.keys(UNIQUES) as readonly RbacKey[];
  const indexes = Object.fromEntries(
    keys.map((key) => [key, namesBehind(UNIQUES[key], uniques)]),
  ) as RbacCatalog["indexes"];
  const unbacked = keys.filter((key) => indexes[key].length === 0).map(describeKey);
  return { missing: missingOf(columns), unbacked, indexes };
}

function namesBehind(wanted: Unique, uniques: readonly UniqueIndex[]): readonly string[] {
  return uniques
    .filter((each) => each.table === wanted.table && each.columns === wanted.columns)
    .filter(({ predicate }) => predicate === "" || wanted.predicates.includes(predicate))
    .map(({ name }) => name);
}

function missingOf(columns: ReadonlySet<string>): readonly string[] {
  return Object.entries(RBAC_COLUMNS).flatMap(([table, names]) => {
    if (!columns.has(table)) return [table];
    return names
      .split(" ")
      .map((name) => `${table}.${name}`)
      .filter((name) => !columns.has(name));
  });
}

function describeKey(key: RbacKey): string {
  const { table, columns, predicates } = UNIQUES[key];
  const where = predicates.length === 0 ? "" : " where is_active";
  const isNull = key === "grant" ? " and scope_id is null" : "";
  return `${table} (${columns})${where}${isNull}`;
}
