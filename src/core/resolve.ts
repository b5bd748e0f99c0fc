/** Whether a row may be settled by a person's word. */
import { HeadgateError } from "./error.ts";
import { type Ledger, type LedgerRow, rowsOf } from "./ledger.ts";

/** `applied`: its work is done; `rolled-back`: nothing of it is left. */
export type Settlement = "applied" | "rolled-back";

/** The command that settles a row, for hints. */
export function resolveCommand(version: number, settlement: Settlement): string {
  return `"headgate resolve ${version} --${settlement}"`;
}

/**
 * The row to settle.
 *
 * @param ledger With `alive` found out for its running rows.
 * @throws {HeadgateError} `refused` when it is not there, is applied, or its runner is alive
 */
export function rowToSettle(ledger: Ledger, version: number): LedgerRow {
  const row = rowsOf(ledger).find((each) => each.version === version);
  if (!row) throw refused(version, "the ledger has no such row", STATUS_HINT);
  if (row.state === "applied") {
    throw refused(version, "its row is applied", 'To revert it: "headgate down"');
  }
  if (row.state === "running" && row.alive) {
    const who = `${row.appliedBy ?? "another runner"}, run ${row.runId ?? "unknown"}`;
    throw refused(version, `it is being built by ${who}, which is alive`, ALIVE_HINT);
  }
  return row;
}

const STATUS_HINT = 'Run "headgate status" for what is interrupted';
const ALIVE_HINT =
  'Wait for it, or end it first: "headgate locks" names its session, and so does pg_stat_activity';

function refused(version: number, why: string, hint: string): HeadgateError {
  return new HeadgateError(`Cannot resolve version ${version}: ${why}`, { code: "refused", hint });
}
