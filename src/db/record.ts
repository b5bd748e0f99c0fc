/** Writes ledger rows. Values travel as bind parameters. */
import { quoteLedger } from "../core/identifier.ts";
import type { LedgerPlace } from "../core/ledger.ts";
import type { Migration } from "../core/migration.ts";
import type { Connection } from "../ports.ts";

/** Who runs, as the ledger remembers it. */
export interface Run {
  /** UUID; the ledger's run_id, and in a comment before every statement of the run. */
  readonly id: string;
  /** Where it runs: `host:pid`. The row's applied_by is `role@host:pid`. */
  readonly place: string;
  readonly toolVersion: string;
}

/**
 * The row of an applied migration, in the transaction that applied it. The server itself checks
 * that this is still that transaction: a body that committed leaves 0 rows and the answer false.
 */
export async function recordApplied(
  connection: Connection,
  ledger: LedgerPlace,
  entry: {
    readonly migration: Migration;
    readonly run: Run;
    readonly xactId: string;
    readonly durationMs: number;
  },
): Promise<boolean> {
  const { migration, run } = entry;
  const { rows } = await connection.bind(
    `insert into ${quoteLedger(ledger)} (version, name, checksum, history, state, breaking, run_id,
  started_at, finished_at, duration_ms, applied_by, tool_version)
select $1::bigint, $2::text, $3::text, $4::text, 'applied', $5::boolean, $6::uuid,
  clock_timestamp() - $7::bigint * interval '1 millisecond', clock_timestamp(), $7::bigint,
  session_user || '@' || $8::text, $9::text
where pg_current_xact_id()::text = $10::text
returning version`,
    [
      migration.version,
      migration.name,
      migration.checksum,
      migration.history,
      migration.options.breaking,
      run.id,
      entry.durationMs,
      run.place,
      run.toolVersion,
      entry.xactId,
    ],
  );
  return rows.length === 1;
}

/** The row of a migration that left something behind: every runner stops at it. */
export async function recordFailed(
  connection: Connection,
  ledger: LedgerPlace,
  entry: { readonly migration: Migration; readonly run: Run; readonly error: string },
): Promise<void> {
  const { migration, run } = entry;
  await connection.bind(
    `insert into ${quoteLedger(ledger)} (version, name, checksum, history, state, error, breaking, run_id,
  applied_by, tool_version)
values ($1::bigint, $2::text, $3::text, $4::text, 'failed', $5::text, $6::boolean, $7::uuid,
  session_user || '@' || $8::text, $9::text)
on conflict (version) do update
set state = 'failed', error = excluded.error, run_id = excluded.run_id, finished_at = null`,
    [
      migration.version,
      migration.name,
      migration.checksum,
      migration.history,
      entry.error,
      migration.options.breaking,
      run.id,
      run.place,
      run.toolVersion,
    ],
  );
}

/** True when the row was there and is gone with this transaction, which must still be `xactId`. */
export async function removeRow(
  connection: Connection,
  ledger: LedgerPlace,
  entry: { readonly version: number; readonly xactId: string },
): Promise<boolean> {
  const { rows } = await connection.bind(
    `delete from ${quoteLedger(ledger)}
where version = $1::bigint and pg_current_xact_id()::text = $2::text
returning version`,
    [entry.version, entry.xactId],
  );
  return rows.length === 1;
}
