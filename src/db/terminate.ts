/** Ends one session that holds a lock. */
import { keyArguments, reclaimKey } from "../core/gate-key.ts";
import type { LedgerPlace } from "../core/ledger.ts";
import type { Lock } from "../core/locks.ts";
import type { Connection } from "../ports.ts";

/** For the rest of this transaction. False: another runner watches a holder with a view to ending it. */
export async function tryReclaimKey(connection: Connection, place: LedgerPlace): Promise<boolean> {
  const { rows } = await connection.run(
    `select pg_try_advisory_xact_lock(${keyArguments(reclaimKey(place))}) as acquired`,
  );
  return rows[0]?.["acquired"] === true;
}

/** How the attempt to end a session went. */
export type Termination = "ended" | "still-there" | "changed";

/** How long the server waits for the session to be gone. */
const END_WITHIN_MS = 5000;

/**
 * Ends one session by one statement, which looks again: same process, same start, same lock, and
 * unless `isForced` still idle since the same moment and in no transaction.
 */
export async function terminateHolder(
  connection: Connection,
  place: LedgerPlace,
  { holder, isForced }: { readonly holder: Lock; readonly isForced: boolean },
): Promise<Termination> {
  const { key } = holder;
  const [classid, objid, objsubid] = partsOf(key);
  await connection.run("select pg_stat_clear_snapshot()");
  const { rows } = await connection.bind(
    `select pg_terminate_backend(a.pid, $8::bigint) as is_ended
from pg_stat_activity a
where a.pid = $1::int and a.pid <> pg_backend_pid()
  and extract(epoch from a.backend_start)::text is not distinct from $2::text
  and ($3::boolean or a.state = 'idle' and extract(epoch from a.state_change)::text = $4::text)
  and exists (select from pg_locks l
    where l.pid = a.pid and l.granted
      and l.database = (select oid from pg_database where datname = current_database())
      and ($3::boolean or l.virtualtransaction like '%/0')
      and case when $5::bigint is null then l.locktype = 'relation'
          and l.relation = (select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where n.nspname = $9::text and c.relname = $10::text)
        else l.locktype = 'advisory' and l.classid::bigint = $5::bigint
          and l.objid::bigint = $6::bigint and l.objsubid = $7::int end)`,
    [
      holder.pid,
      holder.backendStart,
      isForced,
      holder.stateChange,
      classid,
      objid,
      objsubid,
      END_WITHIN_MS,
      place.schema,
      place.table,
    ],
  );
  const isEnded = rows[0]?.["is_ended"];
  if (isEnded === undefined) return "changed";
  return isEnded === true ? "ended" : "still-there";
}

function partsOf(key: Lock["key"]): readonly [string | null, string | null, number | null] {
  if (key === undefined) return [null, null, null];
  if (key.kind === "pair") return [String(key.first >>> 0), String(key.second >>> 0), 2];
  const bits = BigInt.asUintN(64, key.value);
  return [String(bits >> 32n), String(bits & 0xffffffffn), 1];
}
