/**
 * The next transaction of a run, sent behind the COMMIT of the one before without waiting for it. What
 * was decided when the ledger was read last still holds if its end is the row that was just written, so
 * the server itself compares, behind the lock. Three facts make it safe to send a body on top:
 *
 * (1) In an aborted transaction every statement fails, and its COMMIT rolls back: whatever goes wrong,
 *     nothing of this transaction stays, and the comparison of the next one fails too.
 * (2) Only a BEGIN that never ran leaves no transaction to abort, and a body sent behind it would be
 *     committed by itself. So this ends in a savepoint, and a body begins with its release, which is an
 *     error anywhere else (`runBodyInside`).
 * (3) A body that ends the transaction takes with it what the transaction keeps: its own number, which
 *     the row's statement compares.
 */
import { digestLiteral, integerLiteral, quoteLedger } from "../core/identifier.ts";
import type { Connection } from "../ports.ts";
import { type BodyLimits, settingLimits } from "./body.ts";
import { enterMessage, type Gate } from "./gate.ts";
import { followSearchPath, type KnownSettings } from "./gate-settings.ts";
import { together } from "./together.ts";

/** What must be so for the next migration to run. */
export interface Expectation {
  /** The ledger's last row, applied. */
  readonly below: { readonly version: number; readonly history: string };
  readonly settings: KnownSettings;
  readonly limits: BodyLimits;
}

/**
 * Begins, takes the lock, locks the ledger, compares its end, and puts the body's limits in force.
 *
 * @returns The transaction's number.
 * @throws {DbError} when any of it was not so: then the transaction is aborted, or was never begun.
 */
export async function beginNext(
  connection: Connection,
  gate: Gate,
  { below, settings, limits }: Expectation,
): Promise<string> {
  const ledger = quoteLedger(gate.place);
  const version = integerLiteral(below.version);
  const begun = connection.run(`${enterMessage(gate, settings)};
select (case when (select version = ${version} and history = ${digestLiteral(below.history)} and state = 'applied'
  from ${ledger} order by version desc limit 1) then 'true' else 'headgate: the ledger moved' end)::text::boolean,
  set_config('headgate.xact', pg_current_xact_id()::text, true) as xact_id, ${settingLimits(limits)};
savepoint headgate`);
  const [{ rows }] = await together([begun, followSearchPath(connection, gate)]);
  return String(rows[0]?.["xact_id"]);
}
