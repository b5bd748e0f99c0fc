/** Settles an interrupted row. Values travel as bind parameters. */
import { quoteLedger } from "../core/identifier.ts";
import type { LedgerPlace, LedgerRow } from "../core/ledger.ts";
import type { Connection } from "../ports.ts";

/** Marks the row applied. False: it is not as it was read, and nothing was changed. */
export async function markApplied(
  connection: Connection,
  ledger: LedgerPlace,
  row: LedgerRow,
): Promise<boolean> {
  const { rows } = await connection.bind(
    `update ${quoteLedger(ledger)}
set state = 'applied', error = null, lease_until = null, finished_at = clock_timestamp()
where version = $1::bigint and state = $2::text and run_id is not distinct from $3::uuid
returning version`,
    [row.version, row.state, row.runId],
  );
  return rows.length === 1;
}

/** Deletes the row. False: it is not as it was read, and nothing was changed. */
export async function deleteUnfinished(
  connection: Connection,
  ledger: LedgerPlace,
  row: LedgerRow,
): Promise<boolean> {
  const { rows } = await connection.bind(
    `delete from ${quoteLedger(ledger)}
where version = $1::bigint and state = $2::text and run_id is not distinct from $3::uuid
returning version`,
    [row.version, row.state, row.runId],
  );
  return rows.length === 1;
}
