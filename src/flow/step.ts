/** One step through the gate: one transaction, in which a task decides and acts. */
import { DbError, endsConnection, isConnectionTrouble } from "../core/db-error.ts";
import type { Ledger, LedgerPlace, LedgerRow } from "../core/ledger.ts";
import type { Migration } from "../core/migration.ts";
import type { BodyLimits, KnownFrame } from "../db/body.ts";
import { commit, type Gate, rollback, tryGate } from "../db/gate.ts";
import { beginNext } from "../db/next-transaction.ts";
import type { Connection } from "../ports.ts";
import { type Entry, enterWithLock, tryEnterAgain } from "./entry.ts";
import type { Session } from "./session.ts";

/** What a task wants of one step. */
export type Decision<Plan> =
  | { readonly kind: "nothing" }
  | { readonly kind: "wait"; readonly row: LedgerRow }
  /** Something slow must be made first, outside of the gate: see `Task.prepare`. */
  | { readonly kind: "prepare" }
  /** It cannot run inside: see `Task.outside`. */
  | { readonly kind: "outside"; readonly plan: Plan }
  | { readonly kind: "act"; readonly plan: Plan };

/** What a look without the gate shows. */
export interface Sight {
  readonly isDone: boolean;
  /** Changes whenever somebody gets on: the ledger's highest version, a build's progress. */
  readonly mark: number | string;
}

/** The gate's transaction, for a task that sends several things at once. */
export interface Inside {
  /** Undefined where there is no ledger. */
  readonly frame: KnownFrame | undefined;
  /**
   * May be called without waiting for what was sent before, if the server lets it fail whenever effect
   * or row are not there.
   */
  readonly commit: () => Promise<void>;
  /** May be called without waiting for the COMMIT that was sent before it: `db/next-transaction.ts`. */
  readonly beginNext: (below: Migration, limits: BodyLimits) => Promise<string>;
}

/** What one command does inside the gate. */
export interface Task<Plan> {
  /** Throws to refuse. Called with the ledger as it is inside the gate; a ledgerless gate has none. */
  decide(ledger: Ledger, connection: Connection, place: LedgerPlace): Promise<Decision<Plan>>;
  /** What a decision asked for; the gate is tried again after it. */
  prepare?(): Promise<void>;
  /** Effect and ledger row, in the gate's transaction. Its COMMIT follows, unless this sends it. */
  act(connection: Connection, place: LedgerPlace, plan: Plan, inside: Inside): Promise<void>;
  /** What a decision put outside of the gate's transaction, on the same connection. */
  outside?(session: Session, plan: Plan, onActing: () => void): Promise<"done" | "busy" | "moved">;
  /** The server's verdict at COMMIT, in the command's words. */
  commitFailed(plan: Plan, error: DbError): Error;
  committed(plan: Plan): void;
  /** Without the gate: is it done, and how far is the ledger? */
  peek(connection: Connection, gate: Gate): Promise<Sight>;
  /** The last look of a run that acted, once nothing is left to do. */
  finish(connection: Connection, place: LedgerPlace): Promise<void>;
}

/** `busy`: the lock was not got. `stopped`: nothing is left to do. */
export type StepOutcome<Plan> =
  | { readonly kind: "busy" }
  /** The lock of a migration that runs outside a transaction was not got. */
  | { readonly kind: "building" }
  | { readonly kind: "outside"; readonly plan: Plan }
  | { readonly kind: "wait"; readonly row: LedgerRow }
  | { readonly kind: "prepare" }
  | { readonly kind: "stopped" }
  | { readonly kind: "done"; readonly createdLedger: boolean };

/** Whatever it throws, the transaction is gone, and nothing of it stays but what COMMIT may have done. */
export async function step<Plan>(
  session: Session,
  task: Task<Plan>,
  onActing: (ledger: LedgerPlace) => void,
): Promise<StepOutcome<Plan>> {
  const { connection, known } = session;
  session.known = undefined;
  const gate = await session.gate();
  if (!known && !(await tryGate(connection, gate))) return { kind: "busy" };
  const end = committing(connection);
  try {
    const entry = known
      ? await tryEnterAgain(connection, gate, known)
      : await enterWithLock(connection, gate);
    const outcome = entry
      ? await insideGate({ connection, gate, entry, end }, task, onActing)
      : ({ kind: "busy" } as const);
    if (!end.isSent()) await rollback(connection);
    else if (!gate.isLedgerless) session.known = entry;
    return outcome;
  } catch (error) {
    if (!endsConnection(error)) await rollback(connection);
    throw error;
  }
}

interface End {
  readonly commit: () => Promise<void>;
  /** Whatever came of it, the transaction is over with its answer. */
  readonly isSent: () => boolean;
}

function committing(connection: Connection): End {
  let isSent = false;
  return {
    commit: () => {
      isSent = true;
      return commit(connection);
    },
    isSent: () => isSent,
  };
}

interface Room {
  readonly connection: Connection;
  readonly gate: Gate;
  readonly entry: Entry;
  readonly end: End;
}

async function insideGate<Plan>(
  { connection, gate, entry, end }: Room,
  task: Task<Plan>,
  onActing: (ledger: LedgerPlace) => void,
): Promise<StepOutcome<Plan>> {
  const decision = await task.decide(entry.ledger, connection, gate.place);
  if (decision.kind === "nothing") return { kind: "stopped" };
  if (decision.kind !== "act") return decision;
  onActing(gate.place);
  const { frame, settings } = entry;
  await task.act(connection, gate.place, decision.plan, {
    frame,
    commit: end.commit,
    beginNext: (below, limits) => beginNext(connection, gate, { below, limits, settings }),
  });
  if (!end.isSent()) {
    await end.commit().catch((error: unknown) => {
      // Only the server's own verdict: after anything else, whether it is committed is unknown.
      if (!(error instanceof DbError) || isConnectionTrouble(error)) throw error;
      throw task.commitFailed(decision.plan, error);
    });
  }
  task.committed(decision.plan);
  return { kind: "done", createdLedger: entry.createdLedger };
}
