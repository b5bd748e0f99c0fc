/** Two ways into the gate's transaction, and what is found there. */
import { sqlStateOf, UNDEFINED_TABLE } from "../core/db-error.ts";
import type { Ledger } from "../core/ledger.ts";
import { type KnownFrame, noteFrame } from "../db/body.ts";
import { enterAgain, findLedger, type Gate, isGateTaken, lockLedger } from "../db/gate.ts";
import type { KnownSettings } from "../db/gate-settings.ts";
import { together } from "../db/together.ts";
import type { Connection } from "../ports.ts";
import { readSettledLedger, readSettledRest } from "./state.ts";

/** What a step learns that the next one need not ask again. */
export interface Known {
  /** A ledgerless gate has none. */
  readonly ledger: Ledger;
  readonly settings: KnownSettings;
}

/** What a step finds once it is inside. */
export interface Entry extends Known {
  readonly createdLedger: boolean;
  /** The transaction as it is before anything was done in it; undefined without a ledger. */
  readonly frame: KnownFrame | undefined;
}

/** With the lock held: makes the ledger if it must, locks it, and reads all of it. */
export async function enterWithLock(connection: Connection, gate: Gate): Promise<Entry> {
  const found = await findLedger(connection, gate);
  if (gate.isLedgerless) return { ...found, ledger: { kind: "absent" }, frame: undefined };
  const [, ledger, frame] = await together([
    lockLedger(connection, gate),
    readSettledLedger(connection, gate.place),
    noteFrame(connection),
  ]);
  return { ...found, ledger, frame };
}

/**
 * In one round trip, for a run that was inside a moment ago. Undefined: another has the lock, or the
 * ledger is gone, and the transaction is there to be rolled back.
 */
export async function tryEnterAgain(
  connection: Connection,
  gate: Gate,
  known: Known,
): Promise<Entry | undefined> {
  const { settings } = known;
  try {
    const [, ledger, frame] = await together([
      enterAgain(connection, gate, settings),
      readSettledRest(connection, gate.place, known.ledger),
      noteFrame(connection),
    ]);
    return { createdLedger: false, settings, ledger, frame };
  } catch (error) {
    if (isGateTaken(error) || sqlStateOf(error) === UNDEFINED_TABLE) return undefined;
    throw error;
  }
}
