/**
 * The fixtures of existing installations are what such databases are, oddities included. A lineage that
 * somebody "repaired" would let code pass that fails on the real one.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { createLineage, LINEAGES, type Lineage } from "../support/lineage.ts";
import { query } from "../support/query.ts";
import { useServers } from "../support/use-servers.ts";

const servers = useServers();
const urls: Partial<Record<Lineage, string>> = {};

beforeAll(async () => {
  for (const lineage of LINEAGES) {
    const { url } = await servers.postgres.createDatabase();
    await createLineage(url, lineage);
    urls[lineage] = url;
  }
}, 60_000);

/** The column "line" of every row, sorted. */
async function readLines(lineage: Lineage, text: string): Promise<string[]> {
  const rows = await query(urls[lineage]!, text);
  return rows.map((row) => String(row["line"])).sort();
}

/** What a question to the catalog answers, in both lineages and in one only. */
interface Fact {
  readonly what: string;
  readonly text: string;
  readonly both: readonly string[];
  readonly alembic: readonly string[];
  readonly orm: readonly string[];
}

/** Every column of the application's tables; `value` is its default. */
const columns = `
  select c.relname as "table", a.attname as name, a.attnum as place, a.attnotnull as required,
    replace(format_type(a.atttypid, a.atttypmod), 'character varying', 'varchar') as type,
    replace(pg_get_expr(d.adbin, d.adrelid), '::character varying', '') as value
  from pg_class c
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
  where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'
    and c.relname <> 'alembic_version'`;

const facts: readonly Fact[] = [
  {
    what: "tables with so many columns",
    text: `
      select "table" || ' ' || count(*) as line from (${columns}) as listing group by "table"`,
    both: [
      "a2a_agents 41",
      "email_auth_events 9",
      "email_team_member_history 8",
      "email_team_members 8",
      "email_teams 11",
      "email_users 17",
      "gateways 51",
      "grpc_services 4",
      "prompts 29",
      "resources 30",
      "roles 11",
      "servers 24",
      "tools 51",
    ],
    alembic: ["user_roles 11"],
    orm: ["user_roles 10"],
  },
  {
    what: "primary keys, unique constraints and unique indexes",
    text: `
      select concat_ws(' ', i.indrelid::regclass,
        case when i.indisprimary then 'primary key'
          when k.oid is null then 'index' else 'constraint' end,
        i.indexrelid::regclass, substring(pg_get_indexdef(i.indexrelid) from 'btree (.*)')) as line
      from pg_index i
      join pg_class c on c.oid = i.indrelid
      left join pg_constraint k on k.conindid = i.indexrelid and k.contype in ('p', 'u')
      where i.indisunique and i.indisvalid and c.relnamespace = 'public'::regnamespace
        and c.relname <> 'alembic_version'`,
    both: [
      "a2a_agents index ix_a2a_agents_uaid (uaid)",
      "email_auth_events primary key pk_email_auth_events (id)",
      "email_team_member_history primary key pk_email_team_member_history (id)",
      "email_team_members primary key pk_email_team_members (id)",
      "email_team_members constraint uq_team_member (team_id, user_email)",
      "email_teams primary key pk_email_teams (id)",
      "email_teams constraint uq_email_teams_slug (slug)",
      "email_users primary key pk_email_users (id)",
      "email_users constraint uq_email_users_email (email)",
      "gateways primary key pk_gateways (id)",
      "grpc_services primary key pk_grpc_services (id)",
      "grpc_services constraint uq_grpc_services_slug (slug)",
      "prompts primary key pk_prompts (id)",
      "prompts constraint uq_gateway_id__original_name_prompt (gateway_id, original_name)",
      "prompts constraint uq_team_owner_gateway_name_prompt (team_id, owner_email, gateway_id, name)",
      "prompts index uq_team_owner_name_prompt_local (team_id, owner_email, name) WHERE (gateway_id IS NULL)",
      "resources primary key pk_resources (id)",
      "resources constraint uq_team_owner_gateway_uri_resource (team_id, owner_email, gateway_id, uri)",
      "resources index uq_team_owner_uri_resource_local (team_id, owner_email, uri) WHERE (gateway_id IS NULL)",
      "roles primary key pk_roles (id)",
      "roles index uq_roles_name_scope_active (name, scope) WHERE (is_active = true)",
      "servers primary key pk_servers (id)",
      "tools primary key pk_tools (id)",
      "tools constraint uq_gateway_id__original_name (gateway_id, original_name)",
      "user_roles primary key pk_user_roles (id)",
      "user_roles index uq_user_roles_email_role_scope_id_active (user_email, role_id, scope, scope_id) WHERE ((scope_id IS NOT NULL) AND (is_active = true))",
      "user_roles index uq_user_roles_email_role_scope_null_active (user_email, role_id, scope) WHERE ((scope_id IS NULL) AND (is_active = true))",
    ],
    alembic: [
      "a2a_agents primary key a2a_agents_tmp_nounique_pkey (id)",
      "a2a_agents constraint uq_team_owner_slug_a2a_agents (team_id, owner_email, slug)",
    ],
    orm: [
      "a2a_agents primary key pk_a2a_agents (id)",
      "a2a_agents constraint uq_team_owner_slug_a2a_agent (team_id, owner_email, slug)",
      "email_users index ix_email_users_email (email)",
      "gateways constraint uq_team_owner_slug_gateway (team_id, owner_email, slug)",
      "servers constraint uq_team_owner_name_server (team_id, owner_email, name)",
      "tools constraint uq_team_owner_email_name_tool (team_id, owner_email, name)",
    ],
  },
  {
    what: "foreign keys",
    text: `
      select concat_ws(' ', conrelid::regclass, conname,
        replace(pg_get_constraintdef(oid), 'FOREIGN KEY ', '')) as line
      from pg_constraint where contype = 'f'`,
    both: [
      "a2a_agents fk_a2a_agents_tool_id (tool_id) REFERENCES tools(id) ON DELETE SET NULL",
      "email_team_member_history fk_email_team_member_history_action_by (action_by) REFERENCES email_users(email)",
      "email_team_member_history fk_email_team_member_history_team_id (team_id) REFERENCES email_teams(id)",
      "email_team_member_history fk_email_team_member_history_team_member_id (team_member_id) REFERENCES email_team_members(id) ON DELETE CASCADE",
      "email_team_member_history fk_email_team_member_history_user_email (user_email) REFERENCES email_users(email)",
      "tools fk_tools_grpc_service_id (grpc_service_id) REFERENCES grpc_services(id) ON DELETE CASCADE",
    ],
    alembic: ["tools fk_tools_gateway_id (gateway_id) REFERENCES gateways(id)"],
    orm: [
      "a2a_agents fk_a2a_agents_team_id (team_id) REFERENCES email_teams(id) ON DELETE SET NULL",
      "email_team_members fk_email_team_members_invited_by (invited_by) REFERENCES email_users(email)",
      "email_team_members fk_email_team_members_team_id (team_id) REFERENCES email_teams(id) ON DELETE CASCADE",
      "email_team_members fk_email_team_members_user_email (user_email) REFERENCES email_users(email)",
      "email_teams fk_email_teams_created_by (created_by) REFERENCES email_users(email)",
      "gateways fk_gateways_team_id (team_id) REFERENCES email_teams(id) ON DELETE SET NULL",
      "prompts fk_prompts_gateway_id (gateway_id) REFERENCES gateways(id) ON DELETE CASCADE",
      "prompts fk_prompts_team_id (team_id) REFERENCES email_teams(id) ON DELETE SET NULL",
      "resources fk_resources_gateway_id (gateway_id) REFERENCES gateways(id) ON DELETE CASCADE",
      "resources fk_resources_team_id (team_id) REFERENCES email_teams(id) ON DELETE SET NULL",
      "roles fk_roles_created_by (created_by) REFERENCES email_users(email)",
      "roles fk_roles_inherits_from (inherits_from) REFERENCES roles(id)",
      "servers fk_servers_team_id (team_id) REFERENCES email_teams(id) ON DELETE SET NULL",
      "tools fk_tools_gateway_id (gateway_id) REFERENCES gateways(id) ON DELETE CASCADE",
      "tools fk_tools_team_id (team_id) REFERENCES email_teams(id) ON DELETE SET NULL",
      "user_roles fk_user_roles_granted_by (granted_by) REFERENCES email_users(email)",
      "user_roles fk_user_roles_role_id (role_id) REFERENCES roles(id)",
      "user_roles fk_user_roles_user_email (user_email) REFERENCES email_users(email)",
    ],
  },
  {
    what: "checks",
    text: `
      select concat_ws(' ', conrelid::regclass, conname,
        replace(pg_get_constraintdef(oid), 'CHECK ', '')) as line
      from pg_constraint where contype = 'c' and conrelid <> 0`,
    both: [],
    alembic: [
      "email_teams ck_email_teams_ck_email_teams_visibility (((visibility)::text = ANY ((ARRAY['private'::character varying, 'public'::character varying])::text[])))",
    ],
    orm: [],
  },
  {
    what: "defaults",
    text: `
      select concat("table", '.', name, ' ', value) as line from (${columns}) as listing
      where value is not null`,
    both: ["email_auth_events.id nextval('email_auth_events_id_seq'::regclass)"],
    alembic: [
      "a2a_agents.agent_type 'generic'",
      "a2a_agents.protocol_version '1.0'",
      "a2a_agents.enabled true",
      "a2a_agents.reachable true",
      "a2a_agents.version 1",
      "a2a_agents.visibility 'private'",
      "email_auth_events.timestamp now()",
      "email_team_member_history.role 'member'",
      "email_team_member_history.action_timestamp now()",
      "email_team_members.role 'member'",
      "email_team_members.is_active true",
      "email_teams.is_personal false",
      "email_teams.visibility 'private'",
      "email_teams.is_active true",
      "email_users.is_admin false",
      "email_users.is_active true",
      "email_users.auth_provider 'local'",
      "email_users.password_hash_type 'argon2id'",
      "email_users.failed_login_attempts 0",
      "email_users.created_at now()",
      "email_users.updated_at now()",
      "email_users.password_change_required false",
      "gateways.reachable true",
      "gateways.tags '[]'::jsonb",
      "gateways.version 1",
      "gateways.visibility 'private'",
      "gateways.gateway_mode 'cache'",
      "gateways.status 'active'",
      "gateways.registration_attempts 0",
      "prompts.version 1",
      "prompts.visibility 'public'",
      "resources.version 1",
      "resources.visibility 'public'",
      "servers.tags '[]'::jsonb",
      "servers.version 1",
      "servers.visibility 'private'",
      "servers.oauth_enabled false",
      "tools.reachable true",
      "tools.tags '[]'::jsonb",
      "tools.version 1",
      "tools.visibility 'private'",
      "tools.expose_passthrough true",
      "tools.deprecated false",
    ],
    orm: [],
  },
  {
    what: "columns that an insert must give",
    text: `
      select concat("table", ': ', string_agg(name, ' ' order by place)) as line
      from (${columns}) as listing where required and value is null group by "table"`,
    both: [
      "grpc_services: id name slug target",
      "roles: id name scope permissions created_by is_system_role is_active created_at updated_at",
      "user_roles: id user_email role_id scope granted_by granted_at is_active",
    ],
    alembic: [
      "a2a_agents: id name slug endpoint_url created_at updated_at",
      "email_auth_events: event_type success",
      "email_team_member_history: id team_member_id team_id user_email action",
      "email_team_members: id team_id user_email joined_at",
      "email_teams: id name slug created_by created_at updated_at",
      "email_users: email password_hash id",
      "gateways: id name slug url transport capabilities created_at updated_at enabled",
      "prompts: id name tags original_name custom_name custom_name_slug",
      "resources: id uri name tags",
      "servers: id name created_at updated_at enabled",
      "tools: id original_name custom_name_slug integration_type request_type input_schema created_at updated_at enabled jsonpath_filter",
    ],
    orm: [
      "a2a_agents: id name slug endpoint_url agent_type protocol_version capabilities config enabled reachable created_at updated_at tags version visibility",
      "email_auth_events: timestamp event_type success",
      "email_team_member_history: id team_member_id team_id user_email role action action_timestamp",
      "email_team_members: id team_id user_email role joined_at is_active",
      "email_teams: id name slug created_by is_personal visibility created_at updated_at is_active",
      "email_users: email password_hash is_admin is_active auth_provider password_hash_type failed_login_attempts created_at updated_at password_change_required id",
      "gateways: id name slug url transport capabilities created_at updated_at enabled reachable tags version visibility gateway_mode status registration_attempts",
      "prompts: id name template argument_schema created_at updated_at enabled tags version visibility original_name custom_name custom_name_slug",
      "resources: id uri name created_at updated_at enabled tags version visibility",
      "servers: id name created_at updated_at enabled tags version visibility oauth_enabled",
      "tools: id original_name custom_name_slug integration_type request_type input_schema created_at updated_at enabled jsonpath_filter name reachable tags version custom_name visibility expose_passthrough deprecated",
    ],
  },
];

describe.each(LINEAGES)("an existing installation of lineage %s", (lineage) => {
  test.each(facts.map((fact) => [fact.what, fact] as const))(
    "has these %s",
    async (_what, fact) => {
      const expected = [...fact.both, ...fact[lineage]].sort();
      expect(await readLines(lineage, fact.text)).toEqual(expected);
    },
  );

  test("is stamped with one head", async () => {
    const stamp = "select version_num as line from alembic_version";
    expect(await readLines(lineage, stamp)).toEqual(["d8d7939e73e9"]);
  });
});

/** The type of a column in either lineage; columns that are not here have the same one. */
const drift: readonly [column: string, alembic: string, orm: string][] = [
  ["a2a_agents.capabilities", "json", "json not null"],
  ["a2a_agents.config", "json", "json not null"],
  ["a2a_agents.auth_type", "varchar(50)", "varchar(20)"],
  ["a2a_agents.enabled", "boolean", "boolean not null"],
  ["a2a_agents.reachable", "boolean", "boolean not null"],
  ["a2a_agents.tags", "json", "json not null"],
  ["gateways.name", "varchar not null", "varchar(255) not null"],
  ["gateways.slug", "varchar not null", "varchar(255) not null"],
  ["gateways.url", "varchar not null", "varchar(767) not null"],
  ["gateways.description", "varchar", "text"],
  ["gateways.transport", "varchar not null", "varchar(20) not null"],
  ["gateways.last_seen", "timestamp without time zone", "timestamp with time zone"],
  ["gateways.auth_type", "varchar", "varchar(20)"],
  ["gateways.tags", "jsonb", "json not null"],
  ["prompts.template", "text", "text not null"],
  ["prompts.argument_schema", "json", "json not null"],
  ["prompts.created_at", "timestamp with time zone", "timestamp with time zone not null"],
  ["prompts.updated_at", "timestamp with time zone", "timestamp with time zone not null"],
  ["prompts.enabled", "boolean", "boolean not null"],
  ["resources.created_at", "timestamp with time zone", "timestamp with time zone not null"],
  ["resources.updated_at", "timestamp with time zone", "timestamp with time zone not null"],
  ["resources.enabled", "boolean", "boolean not null"],
  ["servers.name", "varchar not null", "varchar(255) not null"],
  ["servers.description", "varchar", "text"],
  ["servers.icon", "varchar", "varchar(767)"],
  ["servers.tags", "jsonb", "json not null"],
  ["tools.original_name", "varchar not null", "varchar(255) not null"],
  ["tools.custom_name_slug", "varchar not null", "varchar(255) not null"],
  ["tools.url", "varchar", "varchar(767)"],
  ["tools.description", "varchar", "text"],
  ["tools.integration_type", "varchar not null", "varchar(20) not null"],
  ["tools.request_type", "varchar not null", "varchar(20) not null"],
  ["tools.jsonpath_filter", "varchar not null", "text not null"],
  ["tools.auth_type", "varchar", "varchar(20)"],
  ["tools.auth_value", "varchar", "text"],
  ["tools.name", "varchar", "varchar(255) not null"],
  ["tools.tags", "jsonb", "json not null"],
  ["tools.custom_name", "varchar(255)", "varchar(255) not null"],
  ["user_roles.migration_source", "varchar(50)", "absent"],
];

async function readColumns(lineage: Lineage): Promise<Map<string, string>> {
  const rows = await query(urls[lineage]!, columns);
  return new Map(
    rows.map((row) => [
      `${row["table"]}.${row["name"]}`,
      `${row["type"]}${row["required"] ? " not null" : ""}`,
    ]),
  );
}

test("the lineages differ in the type or nullability of these columns only", async () => {
  const [alembic, orm] = [await readColumns("alembic"), await readColumns("orm")];
  const names = [...new Set([...alembic.keys(), ...orm.keys()])];
  const differing = names
    .map((name) => [name, alembic.get(name) ?? "absent", orm.get(name) ?? "absent"])
    .filter(([, first, second]) => first !== second);
  expect(differing.sort()).toEqual([...drift].sort());
});
