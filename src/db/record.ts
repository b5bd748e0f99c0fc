/** Writes ledger rows. Values travel as bind parameters. */
import { sqlStateOf } from "../core/db-error.ts";
import { quoteLedger } from "../core/identifier.ts";
import type { LedgerPlace } from "../core/ledger.ts";
import type { Migration } from "../core/migration.ts";
import type { Connection, Value } from "../ports.ts";

/** Who runs, as the ledger remembers it. */
export interface Run {
  /** UUID; the ledger's run_id, and in a comment before every statement of the run. */
  readonly id: string;
  /** Where it runs: `host:pid`. The row's applied_by is `role@host:pid`. */
  readonly place: string;
  readonly toolVersion: string;
}

/** What every row says of its migration and its run: $1 version … $5 breaking, $6 run … $8 tool's version. */
export function rowValues({
  migration,
  run,
}: {
  readonly migration: Migration;
  readonly run: Run;
}): readonly Value[] {
  const { version, name, checksum, history, options } = migration;
  return [version, name, checksum, history, options.breaking, run.id, run.place, run.toolVersion];
}

/** SQLSTATE of the check in `recordApplied`: a text that is no number. */
const NOT_WRITTEN = "22P02";

/**
 * The row of an applied migration, in the transaction that applied it, and how long that took. The
 * server itself checks that this is still that transaction, and makes anything else an error: a COMMIT
 * may be on its way behind this, and without the row it must fail. Undefined: the body ended the
 * transaction.
 */
export async function recordApplied(
  connection: Connection,
  ledger: LedgerPlace,
  entry: {
    readonly migration: Migration;
    readonly run: Run;
    /** Undefined: the transaction itself keeps it, as `beginNext` noted it. */
    readonly xactId: string | undefined;
  },
): Promise<number | undefined> {
  const values = [...rowValues(entry), entry.xactId ?? null];
  try {
    const { rows } = await connection.bind(recordMessage(ledger), values);
    return rows[0] && Number(rows[0]["duration_ms"]);
  } catch (error) {
    if (sqlStateOf(error) !== NOT_WRITTEN) throw error;
    return undefined;
  }
}

/** `limitBody` noted when it began; without that, it was with the transaction. */
function recordMessage(ledger: LedgerPlace): string {
  return `insert into ${quoteLedger(ledger)} (version, name, checksum, history, state, breaking, run_id,
  started_at, finished_at, duration_ms, applied_by, tool_version)
select (case when pg_current_xact_id()::text = coalesce($9::text, current_setting('headgate.xact', true))
    then $1::text else 'headgate: the body ended the transaction' end)::bigint,
  $2::text, $3::text, $4::text, 'applied', $5::boolean, $6::uuid,
  began, ended, round(extract(epoch from ended - began) * 1000)::bigint,
  session_user || '@' || $7::text, $8::text
from (select coalesce(to_timestamp(nullif(current_setting('headgate.began', true), '')::float8), now()) as began,
  clock_timestamp() as ended) as body
returning duration_ms`;
}

/** The row of a migration that left something behind: every runner stops at it. */
export async function recordFailed(
  connection: Connection,
  ledger: LedgerPlace,
  entry: { readonly migration: Migration; readonly run: Run; readonly error: string },
): Promise<void> {
  await connection.bind(
    `insert into ${quoteLedger(ledger)} (version, name, checksum, history, state, error, breaking, run_id,
  applied_by, tool_version)
values ($1::bigint, $2::text, $3::text, $4::text, 'failed', $9::text, $5::boolean, $6::uuid,
  session_user || '@' || $7::text, $8::text)
on conflict (version) do update
set state = 'failed', error = excluded.error, run_id = excluded.run_id, finished_at = null`,
    [...rowValues(entry), entry.error],
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
