/** Who is in the way, for the person who reads the log. Never decides anything. */
import type { GateKey } from "../core/gate-key.ts";
import type { LedgerPlace } from "../core/ledger.ts";
import type { Connection, Row } from "../ports.ts";

/** Another role's address, query and age are hidden by the server: then they are null. */
export interface Holder {
  readonly what: "gate" | "ledger" | "foreign-lock";
  /** Null: a prepared transaction, which has no process. */
  readonly pid: number | null;
  /** The prepared transaction's name. */
  readonly gid: string | null;
  readonly address: string | null;
  readonly application: string | null;
  readonly user: string | null;
  readonly state: string | null;
  /** The run token in its statement, when a headgate holds it. */
  readonly run: string | null;
  readonly ageMs: number | null;
  /** The lock is the session's own, and nothing runs there but maybe our question. */
  readonly isSessionIdle: boolean;
}

/**
 * Asked outside of the gate, where a lock of our own session is another client's, which shared it
 * through a pooler. A prepared transaction holds locks without a process: its pid is null.
 */
export async function readHolders(
  connection: Connection,
  gate: {
    readonly key: GateKey;
    readonly place: LedgerPlace;
    readonly foreignKey: bigint | undefined;
  },
): Promise<readonly Holder[]> {
  const { rows } = await connection.bind(
    `select case when l.locktype = 'relation' then 'ledger' when l.objsubid = 2 then 'gate' else 'foreign-lock' end as what,
  l.pid, case when l.pid is null then (
    select p.gid from pg_locks x join pg_prepared_xacts p on p.transaction = x.transactionid
    where x.locktype = 'transactionid' and x.virtualtransaction = l.virtualtransaction limit 1) end as gid,
  coalesce(host(a.client_addr) || ':' || a.client_port, 'local') as address,
  a.application_name as application, a.usename::text as role, a.state,
  substring(a.query from '/\\* headgate:([0-9a-f-]{36}) \\*/') as run,
  (extract(epoch from clock_timestamp() - coalesce(a.xact_start, a.state_change)) * 1000)::bigint as age_ms,
  l.virtualtransaction like '%/0' or coalesce(l.pid = pg_backend_pid(), false) as is_session_idle
from pg_locks l left join pg_stat_activity a on a.pid = l.pid
where l.granted
  and l.database = (select oid from pg_database where datname = current_database())
  and (l.locktype = 'advisory' and l.objsubid = 2 and l.classid = $1::bigint::oid and l.objid = $2::bigint::oid
    or l.locktype = 'advisory' and l.objsubid = 1
      and (l.classid::bigint << 32) | l.objid::bigint = $3::bigint
    or l.locktype = 'relation' and l.mode not in ('AccessShareLock', 'RowShareLock')
      and l.relation = (select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = $4::text and c.relname = $5::text))
order by what, l.pid`,
    [
      gate.key.namespace >>> 0,
      gate.key.ledger >>> 0,
      gate.foreignKey === undefined ? null : String(gate.foreignKey),
      gate.place.schema,
      gate.place.table,
    ],
  );
  return rows.map(toHolder);
}

function toHolder(row: Row): Holder {
  const what = row["what"];
  return {
    what: what === "ledger" || what === "foreign-lock" ? what : "gate",
    pid: row["pid"] === null ? null : Number(row["pid"]),
    gid: textOf(row["gid"]),
    address: textOf(row["address"]),
    application: textOf(row["application"]),
    user: textOf(row["role"]),
    state: textOf(row["state"]),
    run: textOf(row["run"]),
    ageMs: row["age_ms"] === null ? null : Number(row["age_ms"]),
    isSessionIdle: row["is_session_idle"] === true,
  };
}

function textOf(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}
