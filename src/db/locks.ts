/** Reads who holds or waits for what. Only reads; `terminate.ts` ends a session. */
import * as v from "valibot";
import { advisoryKey } from "../core/advisory-key.ts";
import { integerLiteral } from "../core/identifier.ts";
import type { LedgerPlace } from "../core/ledger.ts";
import type { LockRow } from "../core/locks.ts";
import type { Connection } from "../ports.ts";

const text = v.nullable(v.string());
const number = v.pipe(
  v.nullable(v.union([v.string(), v.number()])),
  v.transform((value) => (value === null ? null : Number(value))),
);
const rowSchema = v.object({
  locktype: v.string(),
  classid: number,
  objid: number,
  objsubid: number,
  mode: v.string(),
  granted: v.boolean(),
  pid: number,
  gid: text,
  is_session_idle: v.boolean(),
  is_ours: v.boolean(),
  address: text,
  application: text,
  role: text,
  state: text,
  run: text,
  xact_age_ms: number,
  state_age_ms: number,
  backend_start: text,
  state_change: text,
  statement: text,
  blocked_by: v.string(),
});

/**
 * Every advisory lock of this database, and every lock on the ledger's table that our own LOCK
 * TABLE has to wait for. Our own session counts too: this question takes no such lock, so one that
 * it holds was left on it by another client of a pooler.
 */
export async function readLocks(
  connection: Connection,
  place: LedgerPlace,
): Promise<readonly LockRow[]> {
  const { rows } = await connection.bind(LOCKS, [place.schema, place.table]);
  return rows.map((row) => toLockRow(v.parse(rowSchema, row)));
}

/**
 * What stands behind the word password is left out. A prepared transaction has no process. It is found by the lock on its own transaction id, which
 * has the same virtual transaction as its other locks.
 */
const LOCKS = `select l.locktype, l.classid::bigint as classid, l.objid::bigint as objid,
  l.objsubid::int as objsubid, l.mode, l.granted, l.pid,
  (select p.gid from pg_locks x join pg_prepared_xacts p on p.transaction = x.transactionid
    where l.pid is null and x.pid is null and x.locktype = 'transactionid'
      and x.virtualtransaction = l.virtualtransaction limit 1) as gid,
  l.virtualtransaction like '%/0' as is_session_idle,
  coalesce(l.pid = pg_backend_pid(), false) as is_ours,
  case when a.client_port < 0 then 'local' else host(a.client_addr) || ':' || a.client_port end as address,
  a.application_name as application, a.usename::text as role, a.state,
  substring(a.query from '/\\* headgate:([0-9a-f-]{36}) \\*/') as run,
  (extract(epoch from clock_timestamp() - a.xact_start) * 1000)::bigint as xact_age_ms,
  (extract(epoch from clock_timestamp() - a.state_change) * 1000)::bigint as state_age_ms,
  extract(epoch from a.backend_start)::text as backend_start,
  extract(epoch from a.state_change)::text as state_change,
  left(regexp_replace(regexp_replace(a.query, '\\s+', ' ', 'g'),
    '(passw(?:or)?d).*', '\\1 …', 'i'), 120) as statement,
  case when l.granted then '' else array_to_string(pg_blocking_pids(l.pid), ' ') end as blocked_by
from pg_locks l left join pg_stat_activity a on a.pid = l.pid
where l.database = (select oid from pg_database where datname = current_database())
  and (l.locktype = 'advisory'
    or l.locktype = 'relation' and (not l.granted or l.mode not in ('AccessShareLock', 'RowShareLock'))
      and l.relation = (select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = $1::text and c.relname = $2::text))
order by l.locktype, l.classid, l.objid, l.pid`;

function toLockRow(row: v.InferOutput<typeof rowSchema>): LockRow {
  const isAdvisory = row.locktype === "advisory";
  return {
    key: isAdvisory ? advisoryKey(row.classid ?? 0, row.objid ?? 0, row.objsubid ?? 0) : undefined,
    mode: row.mode,
    isGranted: row.granted,
    pid: row.pid,
    gid: row.gid,
    isSessionIdle: row.is_session_idle,
    isOurs: row.is_ours,
    address: row.address,
    application: row.application === "" ? null : row.application,
    user: row.role,
    state: row.state,
    run: row.run,
    xactAgeMs: row.xact_age_ms,
    stateAgeMs: row.state_age_ms,
    backendStart: row.backend_start,
    stateChange: row.state_change,
    statement: row.statement === "" ? null : row.statement,
    blockedBy: row.blocked_by === "" ? [] : row.blocked_by.split(" ").map(Number),
  };
}

/** What `readLocks` shows belongs to this database. */
export async function readDatabaseName(connection: Connection): Promise<string> {
  const { rows } = await connection.run("select current_database()::text as name");
  return String(rows[0]?.["name"]);
}

/** The server session behind this connection, for as long as a transaction is open on it. */
export async function readBackendPid(connection: Connection): Promise<number> {
  const { rows } = await connection.run("select pg_backend_pid() as pid");
  return Number(rows[0]?.["pid"]);
}

/** Longer than the pause between two samples; bounds a frozen machine. */
const IDLE_LIMIT_MS = 60_000;

/** Opens a transaction in which nothing is read or locked yet: behind a pooler it keeps its session. */
export async function openPinned(connection: Connection, deadlineMs?: number): Promise<void> {
  await connection.run(
    `begin isolation level read committed;
set local idle_in_transaction_session_timeout = ${integerLiteral(IDLE_LIMIT_MS)}`,
    deadlineMs,
  );
}

/**
 * The same transaction sees fresh sessions, and keeps no snapshot until the next look: the view
 * behind it is otherwise the same for the length of a transaction, and an open portal would hold
 * back a concurrent index build.
 */
export async function sampleLocks(
  connection: Connection,
  place: LedgerPlace,
): Promise<readonly LockRow[]> {
  await connection.run("select pg_stat_clear_snapshot()");
  const rows = await readLocks(connection, place);
  await connection.run("show server_version_num");
  return rows;
}
