/** Puts what a runner waits for into words, for the log and for the error at the end of patience. */
import type { DbError } from "../core/db-error.ts";
import { runKey } from "../core/gate-key.ts";
import { quoteLedger } from "../core/identifier.ts";
import type { LedgerRow } from "../core/ledger.ts";
import { ORPHAN_WORDS } from "../core/locks.ts";
import { readProgress } from "../db/build-index.ts";
import type { Gate } from "../db/gate.ts";
import { type Holder, readHolders } from "../db/holder.ts";
import type { Connection, Fields } from "../ports.ts";

/** The same fact as a sentence and as fields of an event. */
export interface InTheWay {
  readonly text: string;
  readonly fields: Fields;
}

const WHAT: Readonly<Record<Holder["what"], string>> = {
  gate: "the gate",
  ledger: "a lock on the ledger",
  "foreign-lock": "the lock of --lock-id",
};

/** What keeps a runner from its next step. */
export type Obstacle =
  /** The gate's lock. */
  | { readonly kind: "busy" }
  /** The lock of a migration that runs outside a transaction. */
  | { readonly kind: "building" }
  /** The row of such a migration. */
  | { readonly kind: "wait"; readonly row: LedgerRow };

/** Asked only when it is reported. */
export function describeObstacle(
  connection: Connection,
  gate: Gate,
  obstacle: Obstacle,
): Promise<InTheWay> {
  switch (obstacle.kind) {
    case "busy":
      return describeHolders(connection, gate);
    case "building":
      return describeHolders(connection, { ...gate, key: runKey(gate.place) });
    case "wait":
      return describeRow(connection, obstacle.row);
  }
}

/** Advice only: a server that does not answer this must not end the wait with another error. */
async function describeHolders(connection: Connection, gate: Gate): Promise<InTheWay> {
  const holders = await readHolders(connection, gate).catch(() => []);
  const first = holders[0];
  if (!first) {
    return {
      text: `the gate of ledger ${quoteLedger(gate.place)} was held by somebody who has just left`,
      fields: {},
    };
  }
  return { text: holders.map(describeHolder).join("; "), fields: holderFields(first) };
}

function describeHolder(holder: Holder): string {
  if (holder.pid === null) {
    const name = `'${(holder.gid ?? "").replaceAll("'", "''")}'`;
    return `the prepared transaction ${name} holds ${WHAT[holder.what]} without a process: commit prepared or rollback prepared ${name} ends it`;
  }
  const age = holder.ageMs === null ? "" : ` for ${holder.ageMs} ms`;
  const parts = [
    `client ${holder.address ?? "hidden"}`,
    holder.user === null ? "" : `role ${holder.user}`,
    holder.application === null ? "" : `application ${holder.application}`,
    holder.state === null ? "" : `state ${holder.state}`,
    holder.run === null ? "" : `run ${holder.run}`,
  ].filter((part) => part !== "");
  const level = holder.isSessionIdle ? `; ${ORPHAN_WORDS}` : "";
  return `pid ${holder.pid} holds ${WHAT[holder.what]}${age} (${parts.join(", ")})${level}`;
}

function holderFields(holder: Holder): Fields {
  return {
    holder: holder.what,
    holder_pid: holder.pid,
    holder_gid: holder.gid ?? undefined,
    holder_address: holder.address,
    holder_application: holder.application,
    holder_state: holder.state,
    holder_run: holder.run,
    holder_age_ms: holder.ageMs,
  };
}

/** For a migration that another runner is building; how far it is, where the server shows it. */
async function describeRow(connection: Connection, row: LedgerRow): Promise<InTheWay> {
  const progress = await readProgress(connection).catch(() => "");
  const far = progress === "" ? "" : ` (${progress})`;
  return {
    text: `migration ${row.version} ${row.name} is being built by ${row.appliedBy ?? "another runner"}, run ${row.runId ?? "unknown"}${far}`,
    fields: { version: row.version, holder_run: row.runId, progress: progress || undefined },
  };
}

/** For a server that cannot serve us yet, or a lock that is taken. */
export function describeTrouble(error: DbError): InTheWay {
  const state = error.server?.sqlState;
  return {
    text: `${error.message}${state === undefined ? "" : ` (SQLSTATE ${state})`}`,
    fields: { sqlstate: state, reason: error.message },
  };
}
