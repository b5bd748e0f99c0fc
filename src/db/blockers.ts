/**
 * Who is in the way of a statement that needs a lock, looked up without waiting for anything; and the
 * end of a statement that has queued for too long.
 *
 * (1) A backend that gave up after lock_timeout no longer says what it wanted. What is left to see
 *     are the sessions that hold locks on the relations which its text names.
 * (2) A statement that still waits is found by its text, which begins with the run's token: behind a
 *     pooler no pid that we know is its own.
 * (3) Only a wait for a relation keeps others waiting. A wait for a transaction (virtualxid) is how a
 *     concurrent index build lets old snapshots pass, and nobody stands behind it.
 */
import type { Blocker } from "../core/blocker.ts";
import { tagComment } from "../core/run-tag.ts";
import type { Connection, Row } from "../ports.ts";

/** What stands behind the word password is left out. */
const SESSION = `a.usename::text as role, a.state,
  left(regexp_replace(regexp_replace(a.query, '\\s+', ' ', 'g'),
    '(passw(?:or)?d).*', '\\1 …', 'i'), 60) as query`;

const STRENGTH = `array_position(array['AccessShareLock', 'RowShareLock', 'RowExclusiveLock',
  'ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock',
  'AccessExclusiveLock'], l.mode)`;

/** A prepared transaction has no process; it is found by the lock on its own transaction id. */
const PREPARED = `left join pg_locks x on l.pid is null and x.pid is null
    and x.locktype = 'transactionid' and x.virtualtransaction = l.virtualtransaction
  left join pg_prepared_xacts p on p.transaction = x.transactionid`;

/**
 * The oldest transactions of others that hold locks on relations of these names, or on partitions of
 * them: 0..3. Asked after a lock was not got, so whoever held it may have just left.
 */
export async function readLockHolders(
  connection: Connection,
  names: readonly string[],
): Promise<readonly Blocker[]> {
  const { rows } = await connection.bind(
    `with word as materialized (select json_array_elements_text($1::text::json) as name)
select * from (
  select distinct on (l.virtualtransaction) l.pid, p.gid, ${SESSION}, l.mode,
    l.relation::regclass::text as relation,
    (extract(epoch from clock_timestamp() - coalesce(p.prepared, a.xact_start)) * 1000)::bigint as age_ms
  from pg_locks l
  join pg_class c on c.oid = l.relation and c.relkind in ('r', 'p', 'm', 'f', 'S', 'v')
  left join pg_stat_activity a on a.pid = l.pid
  ${PREPARED}
  where l.locktype = 'relation' and l.granted and l.pid is distinct from pg_backend_pid()
    and l.database = (select oid from pg_database where datname = current_database())
    and (c.relname::text in (select name from word) or exists (
      select from pg_partition_ancestors(c.oid) as up (relid) join pg_class r on r.oid = up.relid
      where r.relname::text in (select name from word)))
  order by l.virtualtransaction, ${STRENGTH} desc
) as holder
order by age_ms desc nulls last
limit 3`,
    [JSON.stringify(names)],
  );
  return rows.map(toBlocker);
}

/** A statement that waits for a lock, and who is in its way. */
export interface LockWait {
  readonly pid: number;
  /** As in pg_locks: `relation`, `virtualxid`, `transactionid`, … */
  readonly kind: string;
  readonly mode: string;
  /** Null unless `kind` is `relation`. */
  readonly relation: string | null;
  /** Oldest first, 0..3. */
  readonly blockers: readonly Blocker[];
}

/** Which statement: the run and the text as it was sent. */
export interface Sent {
  readonly runId: string;
  readonly sql: string;
}

/** The server shows the beginning of a statement, as long as track_activity_query_size allows. */
const IS_SENT = `a.datname = current_database() and a.state = 'active' and a.pid <> pg_backend_pid()
  and a.query like '/* headgate:%' and starts_with($1::text || ' ' || $2::text, a.query)`;

/** Undefined: it does not wait for a lock now. */
export async function readLockWait(
  connection: Connection,
  sent: Sent,
  deadlineMs: number,
): Promise<LockWait | undefined> {
  const { rows } = await connection.bind(
    `select waiting.pid as waiting_pid, waiting.kind, waiting.waiting_mode, waiting.waiting_relation,
  blocking.pid, held.gid, ${SESSION}, held.mode, held.relation,
  (extract(epoch from clock_timestamp() - coalesce(held.prepared, a.xact_start)) * 1000)::bigint as age_ms
from (select a.pid, l.locktype as kind, l.mode as waiting_mode, l.relation as oid,
    l.relation::regclass::text as waiting_relation
  from pg_stat_activity a join pg_locks l on l.pid = a.pid and not l.granted
  where ${IS_SENT} limit 1) as waiting
left join lateral unnest(pg_blocking_pids(waiting.pid)) as blocking (pid) on true
left join pg_stat_activity a on a.pid = blocking.pid
left join lateral (select l.mode, l.relation::regclass::text as relation, p.gid, p.prepared
  from pg_locks l ${PREPARED}
  where coalesce(l.pid, 0) = blocking.pid and l.granted
    and l.locktype = 'relation' and l.relation = waiting.oid
  order by ${STRENGTH} desc limit 1) as held on true
order by age_ms desc nulls last
limit 3`,
    [tagComment(sent.runId), sent.sql],
    deadlineMs,
  );
  const [first] = rows;
  if (first === undefined) return undefined;
  return {
    pid: Number(first["waiting_pid"]),
    kind: String(first["kind"]),
    mode: String(first["waiting_mode"]),
    relation: stringOf(first["waiting_relation"]),
    blockers: rows.filter((row) => row["pid"] !== null).map(toBlocker),
  };
}

/** Cancels that statement if it still waits for a relation. False: it does not, or has ended. */
export async function cancelQueued(
  connection: Connection,
  sent: Sent,
  deadlineMs: number,
): Promise<boolean> {
  const { rows } = await connection.bind(
    `select pg_cancel_backend(a.pid) as is_cancelled from pg_stat_activity a
where ${IS_SENT} and exists (select from pg_locks l
  where l.pid = a.pid and not l.granted and l.locktype = 'relation')`,
    [tagComment(sent.runId), sent.sql],
    deadlineMs,
  );
  return rows[0]?.["is_cancelled"] === true;
}

/** A prepared transaction has pid 0 among those that block. */
function toBlocker(row: Row): Blocker {
  const pid = Number(row["pid"] ?? 0);
  return {
    pid: pid === 0 ? null : pid,
    gid: stringOf(row["gid"]),
    user: stringOf(row["role"]),
    state: stringOf(row["state"]),
    query: stringOf(row["query"]),
    ageMs: row["age_ms"] === null ? null : Number(row["age_ms"]),
    mode: stringOf(row["mode"]),
    relation: stringOf(row["relation"]),
  };
}

function stringOf(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}
