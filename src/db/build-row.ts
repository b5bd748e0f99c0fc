/**
 * The ledger row of a migration that runs outside a transaction. Whoever changes it names the run
 * that must own it: no row changed means that another runner has taken it over.
 */
import { quoteLedger } from "../core/identifier.ts";
import type { LedgerPlace } from "../core/ledger.ts";
import type { Migration } from "../core/migration.ts";
import type { Connection } from "../ports.ts";
import { type Run, rowValues } from "./record.ts";

/** Which row, and whose it must be. */
export interface Owned {
  readonly version: number;
  readonly runId: string;
}

/** Inside the gate: the intent, before anything runs. Undefined: no lease. */
export async function recordIntent(
  connection: Connection,
  ledger: LedgerPlace,
  entry: { readonly migration: Migration; readonly run: Run; readonly leaseMs: number | undefined },
): Promise<void> {
  await connection.bind(
    `insert into ${quoteLedger(ledger)} (version, name, checksum, history, state, breaking, run_id,
  applied_by, tool_version, lease_until)
values ($1::bigint, $2::text, $3::text, $4::text, 'running', $5::boolean, $6::uuid,
  session_user || '@' || $7::text, $8::text,
  clock_timestamp() + $9::bigint * interval '1 millisecond')`,
    [...rowValues(entry), entry.leaseMs ?? null],
  );
}

/** Inside the gate: the row of a runner that is gone becomes this run's. */
export async function recordTakeover(
  connection: Connection,
  ledger: LedgerPlace,
  entry: {
    readonly version: number;
    readonly from: string | null;
    readonly run: Run;
    readonly leaseMs: number | undefined;
  },
): Promise<boolean> {
  const { run } = entry;
  const { rows } = await connection.bind(
    `update ${quoteLedger(ledger)}
set run_id = $3::uuid, applied_by = session_user || '@' || $4::text, tool_version = $5::text,
  lease_until = clock_timestamp() + $6::bigint * interval '1 millisecond'
where version = $1::bigint and state = 'running' and run_id is not distinct from $2::uuid
returning version`,
    [entry.version, entry.from, run.id, run.place, run.toolVersion, entry.leaseMs ?? null],
  );
  return rows.length === 1;
}

/** One more statement is done. False: the row is another run's. */
export async function recordStatement(
  connection: Connection,
  ledger: LedgerPlace,
  entry: Owned & { readonly done: number; readonly leaseMs: number | undefined },
): Promise<boolean> {
  const { rows } = await connection.bind(
    `update ${quoteLedger(ledger)}
set statements_done = $3::integer, lease_until = clock_timestamp() + $4::bigint * interval '1 millisecond'
where version = $1::bigint and state = 'running' and run_id = $2::uuid
returning version`,
    [entry.version, entry.runId, entry.done, entry.leaseMs ?? null],
  );
  return rows.length === 1;
}

/** The lease goes on. False: the row is another run's. */
export async function renewLease(
  connection: Connection,
  ledger: LedgerPlace,
  entry: Owned & { readonly leaseMs: number; readonly deadlineMs: number },
): Promise<boolean> {
  const { rows } = await connection.bind(
    `update ${quoteLedger(ledger)}
set lease_until = clock_timestamp() + $3::bigint * interval '1 millisecond'
where version = $1::bigint and state = 'running' and run_id = $2::uuid
returning version`,
    [entry.version, entry.runId, entry.leaseMs],
    entry.deadlineMs,
  );
  return rows.length === 1;
}

/** After LOCK TABLE: the last word. Undefined: the row is another run's; else how long it took. */
export async function recordFinished(
  connection: Connection,
  ledger: LedgerPlace,
  { version, runId }: Owned,
): Promise<number | undefined> {
  const { rows } = await connection.bind(
    `update ${quoteLedger(ledger)}
set state = 'applied', error = null, lease_until = null, finished_at = clock_timestamp(),
  duration_ms = (extract(epoch from clock_timestamp() - started_at) * 1000)::bigint
where version = $1::bigint and state = 'running' and run_id = $2::uuid
returning duration_ms`,
    [version, runId],
  );
  return rows[0] && Number(rows[0]["duration_ms"]);
}

/** A statement failed, and what the others did stays. False: the row is another run's. */
export async function recordBuildFailed(
  connection: Connection,
  ledger: LedgerPlace,
  entry: Owned & { readonly error: string },
): Promise<boolean> {
  const { rows } = await connection.bind(
    `update ${quoteLedger(ledger)}
set state = 'failed', error = $3::text, lease_until = null
where version = $1::bigint and state = 'running' and run_id = $2::uuid
returning version`,
    [entry.version, entry.runId, entry.error],
  );
  return rows.length === 1;
}
