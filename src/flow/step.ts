/** One step through the gate: one transaction, in which a task decides and acts. */
import { DbError, endsConnection, isConnectionTrouble } from "../core/db-error.ts";
import type { Ledger, LedgerPlace, LedgerRow } from "../core/ledger.ts";
import { commit, enterLedger, type Gate, rollback, tryGate } from "../db/gate.ts";
import type { Connection } from "../ports.ts";
import type { Session } from "./session.ts";
import { readSettledLedger } from "./state.ts";

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

/** What one command does inside the gate. */
export interface Task<Plan> {
  /** Throws to refuse. Called with the ledger as it is inside the gate; a ledgerless gate has none. */
  decide(ledger: Ledger, connection: Connection, place: LedgerPlace): Promise<Decision<Plan>>;
  /** What a decision asked for; the gate is tried again after it. */
  prepare?(): Promise<void>;
  /** Effect and ledger row, in the gate's transaction, without its COMMIT. */
  act(connection: Connection, place: LedgerPlace, plan: Plan): Promise<void>;
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
  const { connection } = session;
  const gate = await session.gate();
  if (!(await tryGate(connection, gate))) return { kind: "busy" };
  try {
    return await insideGate(connection, gate, task, onActing);
  } catch (error) {
    if (!endsConnection(error)) await rollback(connection);
    throw error;
  }
}

async function insideGate<Plan>(
  connection: Connection,
  gate: Gate,
  task: Task<Plan>,
  onActing: (ledger: LedgerPlace) => void,
): Promise<StepOutcome<Plan>> {
  const isNew = await enterLedger(connection, gate);
  const ledger: Ledger = gate.isLedgerless
    ? { kind: "absent" }
    : await readSettledLedger(connection, gate.place);
  const decision = await task.decide(ledger, connection, gate.place);
  if (decision.kind !== "act") {
    await rollback(connection);
    return decision.kind === "nothing" ? { kind: "stopped" } : decision;
  }
  onActing(gate.place);
  await task.act(connection, gate.place, decision.plan);
  await commit(connection).catch((error: unknown) => {
    // Only the server's own verdict: after anything else, whether it is committed is unknown.
    if (!(error instanceof DbError) || isConnectionTrouble(error)) throw error;
    throw task.commitFailed(decision.plan, error);
  });
  task.committed(decision.plan);
  return { kind: "done", createdLedger: isNew };
}
