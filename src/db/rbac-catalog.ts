/** Reads which of the gateway's tables are there, and which unique indexes they have. */
import * as v from "valibot";
import type { LedgerPlace } from "../core/ledger.ts";
import { judgeCatalog, RBAC_COLUMNS, type RbacCatalog } from "../core/rbac-catalog.ts";
import type { Connection } from "../ports.ts";
import { onSearchPath } from "./place.ts";

const schema = v.object({
  schema: v.nullable(v.string()),
  columns: v.array(v.string()),
  uniques: v.array(
    v.object({ table: v.string(), name: v.string(), columns: v.string(), predicate: v.string() }),
  ),
  has_seeds: v.boolean(),
});

/**
 * One question. The tables are looked for on the search path, by a query and not by name: inside
 * the gate the catalog cache may be stale.
 *
 * @param seeds The table of what has been seeded.
 * @param searchPath Looked along instead of the session's, when given.
 */
export async function readRbacCatalog(
  connection: Connection,
  seeds: LedgerPlace,
  searchPath?: string,
): Promise<RbacCatalog> {
  const tables = JSON.stringify(Object.keys(RBAC_COLUMNS));
  const { rows } = await onSearchPath(connection, searchPath, () =>
    connection.bind(CATALOG, [tables, seeds.schema, seeds.table]),
  );
  const found = v.parse(schema, rows[0]);
  return {
    ...judgeCatalog(new Set(found.columns), found.uniques),
    schema: found.schema ?? "public",
    hasSeeds: found.has_seeds,
  };
}

const CATALOG = `select * from (with tables as (select value as name from json_array_elements_text($1::text::json)),
place as (
  select n.oid, n.nspname::text as name
  from unnest(current_schemas(false)) with ordinality as path (schema, place)
  join pg_namespace n on n.nspname = path.schema
  order by exists (
    select from pg_class c where c.relnamespace = n.oid and c.relname = 'roles'
  ) desc, path.place
  limit 1
),
relations as (
  select c.oid, c.relname::text as name
  from pg_class c
  join place on place.oid = c.relnamespace
  join tables on tables.name = c.relname
)
select
  (select name from place) as schema,
  coalesce((
    select json_agg(column_name)
    from (
      select name from relations
      union all
      select r.name || '.' || a.attname
      from relations r
      join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
    ) as names (column_name)
  ), '[]'::json) as columns,
  coalesce((
    select json_agg(json_build_object(
      'table', r.name,
      'name', i.relname,
      'columns', (
        select string_agg(a.attname, ', ' order by a.attname collate "C")
        from pg_attribute a where a.attrelid = x.indexrelid and a.attnum <= x.indnkeyatts
      ),
      'predicate', coalesce(translate(pg_get_expr(x.indpred, x.indrelid), '() ', ''), '')
    ))
    from relations r
    join pg_index x on x.indrelid = r.oid
    join pg_class i on i.oid = x.indexrelid
    where x.indisunique and x.indisvalid and x.indexprs is null
  ), '[]'::json) as uniques,
  exists (
    select from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = $2::text and c.relname = $3::text
  ) as has_seeds) as catalog`;
