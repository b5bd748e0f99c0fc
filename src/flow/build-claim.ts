/** The two short transactions around a migration that runs outside of one: the claim and the last word. */
import { endsConnection } from "../core/db-error.ts";
import { type Ledger, type LedgerRow, rowsOf } from "../core/ledger.ts";
import type { Migration } from "../core/migration.ts";
import { recordFinished, recordIntent, recordTakeover } from "../db/build-row.ts";
import { beginAtLedger, commit, enterLedger, type Gate, rollback, tryGate } from "../db/gate.ts";
import type { Run } from "../db/record.ts";
import type { Connection } from "../ports.ts";
import type { World } from "./access.ts";
import type { Signal } from "./build-signal.ts";
import { readSettledLedger } from "./state.ts";

/** What is claimed, for whom, on which connection. */
export interface ClaimWish {
  readonly connection: Connection;
  readonly gate: Gate;
  readonly migration: Migration;
  readonly run: Run;
  /** Judges the ledger again, inside the gate: is this migration still the one to run? */
  readonly isStillNext: (ledger: Ledger) => Promise<boolean>;
}

/** A row that is this run's now. */
export interface Claim {
  /** How many statements an earlier runner is known to have done. */
  readonly done: number;
  /** The row as another runner left it. */
  readonly from: LedgerRow | undefined;
}

const TRIES_MAX = 50;
const TRY_PAUSE_MS = 100;

/**
 * Writes the intent, or takes over the row of a runner that is gone. Others pass the gate for
 * moments only, so it tries for a while. `moved`: the ledger asks for something else now.
 */
export async function claimBuild(
  world: World,
  wish: ClaimWish,
  signal: Signal,
): Promise<Claim | "busy" | "moved"> {
  // The signal's transaction holds another tool's key already, and would be in our own way.
  const gate = { ...wish.gate, foreignKey: undefined };
  for (let tries = 1; !(await tryGate(wish.connection, gate)); tries += 1) {
    if (tries === TRIES_MAX) return "busy";
    await world.clock.sleep(TRY_PAUSE_MS * (0.5 + world.random()));
  }
  return orRollback(wish.connection, async () => {
    await enterLedger(wish.connection, gate);
    return claimInside(wish, signal);
  });
}

async function claimInside(wish: ClaimWish, signal: Signal): Promise<Claim | "moved"> {
  const { connection, gate, migration, run } = wish;
  const ledger = await readSettledLedger(connection, gate.place, signal.pid);
  const from = rowsOf(ledger).find(({ version }) => version === migration.version);
  const { leaseMs } = signal;
  if (!(await wish.isStillNext(ledger))) {
    await rollback(connection);
    return "moved";
  }
  if (from) {
    const entry = { version: migration.version, from: from.runId, run, leaseMs };
    await recordTakeover(connection, gate.place, entry);
  } else {
    await recordIntent(connection, gate.place, { migration, run, leaseMs });
  }
  await commit(connection);
  return { done: from?.statementsDone ?? 0, from };
}

/** The last word. Undefined: another runner has it; else how long it all took, in milliseconds. */
export async function finishBuild(wish: ClaimWish): Promise<number | undefined> {
  const { connection, gate, migration, run } = wish;
  return orRollback(connection, async () => {
    await beginAtLedger(connection, gate);
    const owned = { version: migration.version, runId: run.id };
    const durationMs = await recordFinished(connection, gate.place, owned);
    await (durationMs === undefined ? rollback(connection) : commit(connection));
    return durationMs;
  });
}

async function orRollback<T>(connection: Connection, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!endsConnection(error)) await rollback(connection);
    throw error;
  }
}
