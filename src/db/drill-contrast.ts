/**
 * A session-level lock as other tools use it, on a key that nobody else has: to show what becomes of
 * it behind a pooler, and to free it again. Nothing of headgate's own rests on any of this.
 */
import * as v from "valibot";
import { type GateKey, keyArguments } from "../core/gate-key.ts";
import { integerLiteral } from "../core/identifier.ts";
import type { Connection } from "../ports.ts";

/** Takes the lock for the session that answers, which behind a pooler is nobody's own. */
export async function trySessionLock(connection: Connection, key: GateKey): Promise<boolean> {
  const { rows } = await connection.run(
    `select pg_try_advisory_lock(${keyArguments(key)}) as acquired`,
  );
  return rows[0]?.["acquired"] === true;
}

/** False: the session that answers does not hold it. */
export async function releaseSessionLock(connection: Connection, key: GateKey): Promise<boolean> {
  const { rows } = await connection.run(
    `select pg_advisory_unlock(${keyArguments(key)}) as released`,
  );
  return rows[0]?.["released"] === true;
}

/** A server session that holds the key. */
export interface KeyHolder {
  readonly pid: number;
  readonly backendStart: string | null;
  readonly state: string | null;
}

const holderSchema = v.object({
  pid: v.pipe(v.union([v.string(), v.number()]), v.transform(Number)),
  backend_start: v.nullable(v.string()),
  state: v.nullable(v.string()),
});

/** Our own session counts too: a pooler may have lent us the one that a client left the lock on. */
export async function readKeyHolders(
  connection: Connection,
  key: GateKey,
): Promise<readonly KeyHolder[]> {
  const { rows } = await connection.bind(
    `select l.pid, extract(epoch from a.backend_start)::text as backend_start, a.state
from pg_locks l left join pg_stat_activity a on a.pid = l.pid
where l.locktype = 'advisory' and l.granted and l.objsubid = 2 and l.pid is not null
  and l.database = (select oid from pg_database where datname = current_database())
  and l.classid::bigint = $1::bigint and l.objid::bigint = $2::bigint
order by l.pid`,
    [key.namespace >>> 0, key.ledger >>> 0],
  );
  return rows.map((raw) => {
    const { pid, backend_start, state } = v.parse(holderSchema, raw);
    return { pid, backendStart: backend_start, state };
  });
}

const END_WITHIN_MS = 2000;

/**
 * Ends one session by one statement that looks again: same process, same start, the same key held,
 * and at rest, or our own. False: it is not so any more, or it works for somebody just now.
 *
 * @throws {DbError} when it was our own session, which then is gone.
 */
export async function endKeyHolder(
  connection: Connection,
  key: GateKey,
  { pid, backendStart }: KeyHolder,
): Promise<boolean> {
  const { rows } = await connection.bind(
    `select pg_terminate_backend(a.pid, ${integerLiteral(END_WITHIN_MS)}) as is_ended
from pg_stat_activity a
where a.pid = $1::int and extract(epoch from a.backend_start)::text is not distinct from $2::text
  and (a.state = 'idle' or a.pid = pg_backend_pid())
  and exists (select from pg_locks l
    where l.pid = a.pid and l.granted and l.locktype = 'advisory' and l.objsubid = 2
      and l.database = (select oid from pg_database where datname = current_database())
      and l.classid::bigint = $3::bigint and l.objid::bigint = $4::bigint)`,
    [pid, backendStart, key.namespace >>> 0, key.ledger >>> 0],
  );
  return rows[0]?.["is_ended"] === true;
}
