/** What the catalog knows of an index, and who is building it. */
import { quoteIdentifier } from "../core/identifier.ts";
import type { Connection, Row } from "../ports.ts";

/** An index as it stands there. */
export interface IndexState {
  readonly schema: string;
  readonly name: string;
  /** Valid for queries and kept up to date: a build that came to its end. */
  readonly isUsable: boolean;
  /** On the table that was asked for, and unique or not as asked. */
  readonly isAsAsked: boolean;
  /** As the server would write it. */
  readonly definition: string;
}

/** A server process that builds an index. */
export interface Builder {
  readonly pid: number;
  /** Where it is, as far as the server shows it to this role. */
  readonly phase: string | null;
  readonly blocksDone: number | null;
  readonly blocksTotal: number | null;
  /** Its statement carries the token of a run, of which nothing else is seen: its sign of life is gone. */
  readonly isOrphan: boolean;
}

/**
 * Looks an index up by its table and its name. Undefined: there is none.
 *
 * @param wanted The table as it stands in the statement; the index's name as the server folds it.
 */
export async function readIndex(
  connection: Connection,
  wanted: { readonly table: string; readonly index: string; readonly isUnique: boolean },
): Promise<IndexState | undefined> {
  const { rows } = await connection.bind(
    `select n.nspname::text as schema, c.relname::text as name,
  i.indisvalid and i.indisready as is_usable,
  i.indrelid = t.oid and i.indisunique = $3::boolean as is_as_asked,
  pg_get_indexdef(i.indexrelid) as definition
from pg_class t
join pg_namespace n on n.oid = t.relnamespace
join pg_class c on c.relnamespace = n.oid and c.relname = $2::name and c.relkind = 'i'
join pg_index i on i.indexrelid = c.oid
where t.oid = to_regclass($1::text)`,
    [wanted.table, wanted.index, wanted.isUnique],
  );
  return rows[0] && toIndexState(rows[0]);
}

/** Whether an index of that name, as it stands in a statement, is there, valid or not. */
export async function hasIndex(connection: Connection, name: string): Promise<boolean> {
  const { rows } = await connection.bind("select to_regclass($1::text) is not null as is_there", [
    name,
  ]);
  return rows[0]?.["is_there"] === true;
}

/** What an interrupted REINDEX CONCURRENTLY left on a table, or on the table of an index. */
export async function readReindexLeftovers(
  connection: Connection,
  relation: string,
): Promise<readonly IndexState[]> {
  const { rows } = await connection.bind(
    `select n.nspname::text as schema, c.relname::text as name, false as is_usable,
  true as is_as_asked, pg_get_indexdef(i.indexrelid) as definition
from pg_index i
join pg_class c on c.oid = i.indexrelid
join pg_namespace n on n.oid = c.relnamespace
where not i.indisvalid and c.relname ~ '_cc(new|old)[0-9]*$' and i.indrelid = coalesce(
  (select own.indrelid from pg_index own where own.indexrelid = to_regclass($1::text)),
  to_regclass($1::text))
order by c.relname`,
    [relation],
  );
  return rows.map(toIndexState);
}

/** A run's comment, as a pattern. */
const TOKEN = "/\\* headgate:[0-9a-f-]{36} \\*/";

/**
 * Who builds an index on the table now, or on the table of that index: a process of the progress
 * view that holds the lock of a build on it. The lock alone is also autovacuum's.
 */
export async function readBuilders(
  connection: Connection,
  relation: string,
): Promise<readonly Builder[]> {
  const { rows } = await connection.bind(
    `select distinct p.pid, p.phase, p.blocks_done, p.blocks_total,
  coalesce(a.query like '/* headgate:%', false) and not exists (
    select from pg_stat_activity s where s.pid <> a.pid and s.state <> 'idle'
      and substring(s.query from '^${TOKEN}') = substring(a.query from '^${TOKEN}')) as is_orphan
from pg_stat_progress_create_index p
join pg_locks l on l.pid = p.pid and l.locktype = 'relation' and l.granted
  and l.mode = 'ShareUpdateExclusiveLock' and l.database = p.datid
left join pg_stat_activity a on a.pid = p.pid
where p.datname = current_database() and p.pid <> pg_backend_pid() and l.relation = coalesce(
  (select own.indrelid from pg_index own where own.indexrelid = to_regclass($1::text)),
  to_regclass($1::text))
order by p.pid`,
    [relation],
  );
  return rows.map((row) => ({
    pid: Number(row["pid"]),
    phase: row["phase"] === null ? null : String(row["phase"]),
    blocksDone: row["blocks_done"] === null ? null : Number(row["blocks_done"]),
    blocksTotal: row["blocks_total"] === null ? null : Number(row["blocks_total"]),
    isOrphan: row["is_orphan"] === true,
  }));
}

/** A text that changes while any index build of this database gets on; empty: there is none. */
export async function readProgress(connection: Connection): Promise<string> {
  const { rows } = await connection.bind(
    `select coalesce(string_agg(concat_ws(' ', 'pid', p.pid, p.phase, 'block', p.blocks_done, 'of',
  p.blocks_total, 'row', p.tuples_done, 'locker', p.lockers_done), ', ' order by p.pid), '') as progress
from pg_stat_progress_create_index p where p.datname = current_database()`,
    [],
  );
  return String(rows[0]?.["progress"] ?? "");
}

/** Waits for every transaction that may still use the index; it may be gone when its turn comes. */
export function dropIndexText({ schema, name }: IndexState): string {
  return `drop index concurrently if exists ${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;
}

/** Ends a builder's statement. False: it has just ended, or the role may not. */
export async function cancelBuilder(connection: Connection, pid: number): Promise<boolean> {
  const { rows } = await connection.bind(
    `select pg_cancel_backend(a.pid) as is_cancelled from pg_stat_activity a
where a.pid = $1::integer and a.state = 'active' and a.query like '/* headgate:%'`,
    [pid],
  );
  return rows[0]?.["is_cancelled"] === true;
}

function toIndexState(row: Row): IndexState {
  return {
    schema: String(row["schema"]),
    name: String(row["name"]),
    isUsable: row["is_usable"] === true,
    isAsAsked: row["is_as_asked"] === true,
    definition: String(row["definition"]),
  };
}
