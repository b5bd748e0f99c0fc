/** Reads what may be wrong in a database: privileges, indexes, builders, and what holds back vacuum. */
import * as v from "valibot";
import type { LedgerRights } from "../core/doctor-ledger.ts";
import type { BuilderSight, IndexSight, KeeperSight } from "../core/doctor-schema.ts";
import { type GateKey, RUN_NAMESPACE } from "../core/gate-key.ts";
import type { LedgerPlace } from "../core/ledger.ts";
import type { Connection } from "../ports.ts";

const text = v.nullable(v.string());
const number = v.pipe(v.union([v.string(), v.number()]), v.transform(Number));

const rightsSchema = v.object({ missing: v.string(), owner: v.string(), is_member: v.boolean() });

/** What the role lacks on a ledger that exists; undefined: there is none. */
export async function readLedgerRights(
  connection: Connection,
  place: LedgerPlace,
): Promise<LedgerRights | undefined> {
  const { rows } = await connection.bind(
    `select pg_get_userbyid(c.relowner)::text as owner, pg_has_role(c.relowner, 'member') as is_member,
  coalesce((select string_agg(needed, ', ') from unnest(array['select', 'insert', 'update', 'delete']) needed
    where not has_table_privilege(c.oid, needed)), '') as missing
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1::text and c.relname = $2::text`,
    [place.schema, place.table],
  );
  if (rows.length === 0) return undefined;
  const { missing, owner, is_member } = v.parse(rightsSchema, rows[0]);
  return { missing: missing === "" ? [] : missing.split(", "), owner, isOwners: is_member };
}

const indexSchema = v.object({
  schema: v.string(),
  name: v.string(),
  table_name: v.string(),
  definition: v.string(),
  owner: v.string(),
  builder: v.nullable(number),
});

/** Indexes that no query may use. One that is being built looks the same but for its builder. */
export async function readInvalidIndexes(connection: Connection): Promise<readonly IndexSight[]> {
  const { rows } = await connection.run(
    `select n.nspname::text as schema, c.relname::text as name, i.indrelid::regclass::text as table_name,
  pg_get_indexdef(i.indexrelid) as definition,
  pg_get_userbyid(c.relowner)::text as owner,
  (select p.pid from pg_stat_progress_create_index p
    where p.index_relid = i.indexrelid and p.datname = current_database() limit 1) as builder
from pg_index i
join pg_class c on c.oid = i.indexrelid and c.relkind = 'i'
join pg_namespace n on n.oid = c.relnamespace
where not (i.indisvalid and i.indisready) and n.nspname !~ '^pg_temp'
order by 1, 2`,
  );
  return rows.map((raw) => {
    const { table_name: table, ...index } = v.parse(indexSchema, raw);
    return { ...index, table };
  });
}

const builderSchema = v.object({
  pid: number,
  table_name: text,
  phase: v.string(),
  run: text,
  age_ms: v.nullable(number),
  is_guarded: v.boolean(),
});

/**
 * Who builds an index now.
 *
 * @param key Held around a migration that runs outside a transaction, by whoever waits for it.
 */
export async function readBuilders(
  connection: Connection,
  key: GateKey,
): Promise<readonly BuilderSight[]> {
  const { rows } = await connection.bind(
    `select p.pid, (select c.relname::text from pg_class c where c.oid = p.relid) as table_name, p.phase,
  substring(a.query from '/\\* headgate:([0-9a-f-]{36}) \\*/') as run,
  (extract(epoch from clock_timestamp() - a.query_start) * 1000)::bigint as age_ms,
  exists (select from pg_locks l where l.locktype = 'advisory' and l.granted and l.objsubid = 2
    and l.database = p.datid and l.classid = $1::bigint::oid and l.objid = $2::bigint::oid) as is_guarded
from pg_stat_progress_create_index p left join pg_stat_activity a on a.pid = p.pid
where p.datname = current_database()
order by p.pid`,
    [RUN_NAMESPACE >>> 0, key.ledger >>> 0],
  );
  return rows.map((raw) => {
    const row = v.parse(builderSchema, raw);
    const { pid, phase, run } = row;
    return { pid, table: row.table_name, phase, run, ageMs: row.age_ms, isGuarded: row.is_guarded };
  });
}

const keeperSchema = v.object({
  kind: v.picklist(["prepared", "slot"]),
  name: v.string(),
  owner: text,
  age_ms: v.nullable(number),
});

/** Prepared transactions of this database, and replication slots that nobody uses but that hold back. */
export async function readKeepers(connection: Connection): Promise<readonly KeeperSight[]> {
  const { rows } = await connection.run(
    `select 'prepared' as kind, gid as name, owner::text as owner,
  (extract(epoch from clock_timestamp() - prepared) * 1000)::bigint as age_ms
from pg_prepared_xacts where database = current_database()
union all
select 'slot', slot_name::text, null, null
from pg_replication_slots
where not active and (xmin is not null or catalog_xmin is not null or restart_lsn is not null)
order by kind, name`,
  );
  return rows.map((raw) => {
    const { kind, name, owner, age_ms } = v.parse(keeperSchema, raw);
    return { kind, name, owner, ageMs: age_ms };
  });
}
