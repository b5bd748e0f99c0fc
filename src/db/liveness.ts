/** Does anybody alive work on an unfinished row? Looked up, never found out by taking a lock. */
import { runKey } from "../core/gate-key.ts";
import type { LedgerPlace, LedgerRow } from "../core/ledger.ts";
import type { Connection } from "./connection.ts";

/** True when the run's lock is held, or a server process still works on a statement of that run. */
export async function isAlive(
  connection: Connection,
  place: LedgerPlace,
  row: LedgerRow,
): Promise<boolean> {
  if (row.alive) return true;
  const key = runKey(place);
  const { rows } = await connection.bind(
    `select exists (
  select from pg_locks l
  where l.locktype = 'advisory' and l.granted and l.objsubid = 2
    and l.database = (select oid from pg_database where datname = current_database())
    and l.classid = $1::bigint::oid and l.objid = $2::bigint::oid)
or exists (
  select from pg_stat_activity a
  where a.state = 'active' and a.pid <> pg_backend_pid()
    and a.query like '/* headgate:' || $3::text || ' */%') as alive`,
    [key.namespace >>> 0, key.ledger >>> 0, row.runId],
  );
  return rows[0]?.["alive"] === true;
}
