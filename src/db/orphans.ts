/**
 * Resources that nobody owns: which there are, and giving them away one at a time. Reading takes
 * two statements for all six tables, whatever they hold.
 */
import * as v from "valibot";
import { integerLiteral, quoteIdentifier } from "../core/identifier.ts";
import {
  isDerived,
  ORPHAN_TABLES,
  type OrphanChange,
  type OrphansFound,
  type OrphanTable,
} from "../core/orphan.ts";
import { stemsOf } from "../core/orphan-plan.ts";
import type { Connection } from "../ports.ts";

/** Whose the orphans will be, and which of them are asked for. */
export interface OrphanQuestion {
  /** The admin's. */
  readonly email: string;
  /** `ownerless`: rows without an owner; `all`: also owned rows without a team. */
  readonly mode: "ownerless" | "all";
  readonly separator: string;
  /** How many rows at most, over all tables. */
  readonly limit: number;
  /** Rows that are left out, as `orphanKey` names them. */
  readonly except: readonly string[];
}

/** What must be unique for a team and an owner. */
const VALUE_COLUMNS: Readonly<Record<OrphanTable, string>> = {
  servers: "name",
  tools: "name",
  resources: "uri",
  prompts: "name",
  gateways: "slug",
  a2a_agents: "slug",
};

const table = v.picklist(ORPHAN_TABLES);
const text = v.nullable(v.string());
const orphanSchema = v.object({
  table,
  id: v.string(),
  value: text,
  customName: text,
  gatewayName: text,
  teamId: text,
  ownerEmail: text,
  visibility: text,
});
const takenSchema = v.object({ table, teamId: v.string(), value: v.string() });

/** Names a table by its place: a value, and so a parameter. */
const TABLES = JSON.stringify(ORPHAN_TABLES);

/** The first orphans, and what of the admin's values can stand in their way. */
export async function readOrphans(
  connection: Connection,
  schema: string,
  question: OrphanQuestion,
): Promise<OrphansFound> {
  const { mode, except, limit } = question;
  const { rows } = await connection.bind(
    `select "table", id, value, "customName", "gatewayName", "teamId", "ownerEmail", visibility
from (
${orphansOf(schema)}) as orphans
where "table" || '/' || id not in (select json_array_elements_text($3::text::json))
order by place, created_at, id collate "C"
limit $4::bigint`,
    [TABLES, mode === "all", JSON.stringify(except), limit],
  );
  const orphans = rows.map((row) => v.parse(orphanSchema, row));
  return { rows: orphans, taken: await readTaken(connection, schema, question, orphans) };
}

async function readTaken(
  connection: Connection,
  schema: string,
  { email, separator }: OrphanQuestion,
  orphans: OrphansFound["rows"],
): Promise<OrphansFound["taken"]> {
  if (orphans.length === 0) return [];
  const stems = orphans.flatMap((row) =>
    stemsOf(row, separator).map((stem) => ({ table: row.table, stem })),
  );
  const { rows } = await connection.bind(
    `with stems as materialized (
  select "table", stem
  from json_to_recordset($3::text::json) as given ("table" text, stem text)
)
${takenOf(schema)}`,
    [TABLES, email, JSON.stringify(stems)],
  );
  return rows.map((row) => v.parse(takenSchema, row));
}

function orphansOf(schema: string): string {
  return ORPHAN_TABLES.map(
    (name, place) => `select ${nameAt(place)} as "table", ${integerLiteral(place)} as place,
  t.id, t.${quoteIdentifier(VALUE_COLUMNS[name])} as value, ${originOf(schema, name)},
  t.team_id as "teamId", t.owner_email as "ownerEmail", t.visibility, t.created_at
from ${quoteIdentifier(schema)}.${quoteIdentifier(name)} t
where t.owner_email is null or ($2::boolean and t.team_id is null)
`,
  ).join("union all\n");
}

/** What the application derives the value from. */
function originOf(schema: string, name: OrphanTable): string {
  return isDerived(name)
    ? `coalesce(t.custom_name, t.original_name) as "customName",
  (select g.name from ${quoteIdentifier(schema)}.gateways g where g.id = t.gateway_id)
    as "gatewayName"`
    : `null::text as "customName", null::text as "gatewayName"`;
}

function takenOf(schema: string): string {
  return ORPHAN_TABLES.map(
    (name, place) => `select ${nameAt(place)} as "table", t.team_id as "teamId", t.value
from (
  select team_id, owner_email, ${quoteIdentifier(VALUE_COLUMNS[name])} as value
  from ${quoteIdentifier(schema)}.${quoteIdentifier(name)}
) t
where t.owner_email = $2::text and t.team_id is not null and (
  t.value in (select stem from stems where "table" = ${nameAt(place)})
  or regexp_replace(t.value, '[0-9]+$', '') in (
    select stem from stems where "table" = ${nameAt(place)}))
`,
  ).join("union all\n");
}

/** The first parameter has the names of all tables. */
function nameAt(place: number): string {
  return `($1::text::json ->> ${integerLiteral(place)})`;
}

/**
 * Gives one row to the admin. Locks that row.
 *
 * @param who The admin, and the team for a row that has none.
 * @returns False when it is not as it was found any more: gone, renamed, or somebody's.
 * @throws {DbError} 23505 when the value was taken meanwhile.
 */
export async function assignOrphan(
  connection: Connection,
  schema: string,
  change: OrphanChange,
  who: { readonly email: string; readonly teamId: string },
): Promise<boolean> {
  const column = quoteIdentifier(VALUE_COLUMNS[change.table]);
  const { rows } = await connection.bind(
    `update ${quoteIdentifier(schema)}.${quoteIdentifier(change.table)} as t
set owner_email = $2::text, team_id = coalesce(t.team_id, $3::text), visibility = $4::text,
  federation_source = coalesce(nullif(t.federation_source, ''), 'mcpgateway-0.7.0-migration'),
  ${column} = coalesce($5::text::json ->> 'value', t.${column})${customName(change.table)}
where t.id = $1::text and t.${column} is not distinct from $6::text
  and t.owner_email is not distinct from $7::text and t.team_id is not distinct from $8::text
returning t.id`,
    [
      change.id,
      who.email,
      who.teamId,
      change.visibility,
      JSON.stringify(change.rename ?? {}),
      change.value,
      change.ownerEmail,
      change.teamId ?? null,
    ],
  );
  return rows.length === 1;
}

/** Without it the application's next update of the row takes the new name back. */
function customName(name: OrphanTable): string {
  return isDerived(name)
    ? `,
  custom_name = coalesce($5::text::json ->> 'customName', t.custom_name),
  custom_name_slug = coalesce($5::text::json ->> 'customNameSlug', t.custom_name_slug)`
    : "";
}
