/** Two ways into the gate's transaction, and what is found there. */
import { sqlStateOf, UNDEFINED_TABLE } from "../core/db-error.ts";
import type { Ledger } from "../core/ledger.ts";
import { type BodyFrame, noteFrame } from "../db/body.ts";
import { enterAgain, findLedger, type Gate, isGateTaken, lockLedger } from "../db/gate.ts";
import { together } from "../db/together.ts";
import type { Connection } from "../ports.ts";
import { readSettledLedger, readSettledRest } from "./state.ts";

/** What a step finds once it is inside. */
export interface Entry {
  readonly createdLedger: boolean;
  /** A ledgerless gate has none. */
  readonly ledger: Ledger;
  /** The transaction as it is before anything was done in it; undefined without a ledger. */
  readonly frame: BodyFrame | undefined;
}

/** With the lock held: makes the ledger if it must, locks it, and reads all of it. */
export async function enterWithLock(connection: Connection, gate: Gate): Promise<Entry> {
  const createdLedger = await findLedger(connection, gate);
  if (gate.isLedgerless) return { createdLedger, ledger: { kind: "absent" }, frame: undefined };
  const [, ledger, frame] = await together([
    lockLedger(connection, gate),
    readSettledLedger(connection, gate.place),
    noteFrame(connection),
  ]);
  return { createdLedger, ledger, frame };
}

/**
 * In one round trip, for a run that was inside a moment ago. Undefined: another has the lock, or the
 * ledger is gone, and the transaction is there to be rolled back.
 */
export async function tryEnterAgain(
  connection: Connection,
  gate: Gate,
  known: Ledger,
): Promise<Entry | undefined> {
  try {
    const [, ledger, frame] = await together([
      enterAgain(connection, gate),
      readSettledRest(connection, gate.place, known),
      noteFrame(connection),
    ]);
    return { createdLedger: false, ledger, frame };
  } catch (error) {
    if (isGateTaken(error) || sqlStateOf(error) === UNDEFINED_TABLE) return undefined;
    throw error;
  }
}
