/** Does anybody alive work on an unfinished row? Looked up, never found out by taking a lock. */
import { runKey } from "../core/gate-key.ts";
import { quoteLedger } from "../core/identifier.ts";
import type { LedgerPlace, TipRow } from "../core/ledger.ts";
import type { Connection, Value } from "../ports.ts";

const RUN_LOCK = `select from pg_locks l
  where l.locktype = 'advisory' and l.granted and l.objsubid = 2
    and l.database = (select oid from pg_database where datname = current_database())
    and l.classid = $1::bigint::oid and l.objid = $2::bigint::oid
    and l.pid is distinct from $4::integer`;

const RUN_STATEMENT = `select a.pid from pg_stat_activity a
  where a.state = 'active' and a.pid <> pg_backend_pid() and a.pid is distinct from $4::integer
    and a.query like '/* headgate:' || $3::text || ' */%'`;

/**
 * True when the run's lock is held, its lease is not over, or a server process still works on one of
 * its statements. Another role's statements are hidden: then anybody who builds an index, by the
 * progress view and the lock of a build, counts as that process, which at worst makes us wait.
 *
 * @param ownPid A server process that does not count: the asking run's own signal of life.
 */
export async function isAlive(
  connection: Connection,
  place: LedgerPlace,
  row: TipRow,
  ownPid?: number,
): Promise<boolean> {
  if (row.alive) return true;
  const { rows } = await connection.bind(
    `select exists (${RUN_LOCK}) or exists (${RUN_STATEMENT}) or exists (
  select from pg_stat_progress_create_index p
  join pg_stat_activity a on a.pid = p.pid
  join pg_locks l on l.pid = p.pid and l.locktype = 'relation' and l.granted
    and l.mode = 'ShareUpdateExclusiveLock' and l.database = p.datid
  where p.datname = current_database() and a.query = '<insufficient privilege>') as alive`,
    keys(place, row, ownPid),
  );
  return rows[0]?.["alive"] === true;
}

/**
 * Ends the statements of a run that has no runner any more: its lock is free and its lease is over.
 * Gives the processes that were told to.
 */
export async function cancelOrphans(
  connection: Connection,
  place: LedgerPlace,
  row: TipRow,
): Promise<readonly number[]> {
  const { rows } = await connection.bind(
    `select orphan.pid from (${RUN_STATEMENT}) as orphan
where case when exists (${RUN_LOCK}) or exists (
    select from ${quoteLedger(place)} r
    where r.run_id = $3::text::uuid and r.lease_until > clock_timestamp())
  then false else pg_cancel_backend(orphan.pid) end`,
    keys(place, row, undefined),
  );
  return rows.map((each) => Number(each["pid"]));
}

function keys(place: LedgerPlace, row: TipRow, ownPid: number | undefined): readonly Value[] {
  const key = runKey(place);
  return [key.namespace >>> 0, key.ledger >>> 0, row.runId, ownPid ?? null];
}
