/** Who was in the way when a lock was not got, in words and as fields of an event. */
import { type Blocker, blockerFields, describeBlocker, namesIn } from "../core/blocker.ts";
import { type DbError, SERIALIZATION_FAILURE, sqlStateOf } from "../core/db-error.ts";
import { type LockWait, readLockHolders } from "../db/blockers.ts";
import type { Connection } from "../ports.ts";
import { withState } from "./db-trouble.ts";
import type { InTheWay } from "./in-the-way.ts";

/**
 * After the rollback, on the same connection: a pool of one has no other. Advice only, so a server
 * that does not answer changes nothing.
 */
export async function describeContention(
  connection: Connection,
  error: DbError,
): Promise<InTheWay> {
  const sqlState = sqlStateOf(error);
  const detail = error.server?.detail;
  const blockers =
    sqlState === SERIALIZATION_FAILURE ? undefined : await holders(connection, error);
  const parts = [withState(error), detail, blockers && describeAll(blockers)];
  return {
    text: parts.filter((part) => part !== undefined).join("; "),
    fields: { sqlstate: sqlState, reason: error.message, detail, ...blockerFields(blockers ?? []) },
  };
}

function holders(connection: Connection, error: DbError): Promise<readonly Blocker[]> {
  return readLockHolders(connection, namesIn(error.server?.text ?? "")).catch(() => []);
}

function describeAll(blockers: readonly Blocker[]): string {
  return blockers.length === 0
    ? "whoever held the lock has left, or holds it on a table that the text does not name"
    : blockers.map(describeBlocker).join("; ");
}

/** For a statement that waits right now. */
export function describeLockWait({ kind, mode, relation, blockers }: LockWait): InTheWay {
  const what = relation === null ? `another transaction (${kind})` : `${mode} on ${relation}`;
  const found = blockers.map((each) => `; ${describeBlocker(each)}`).join("");
  return {
    text: `${what}${found}`,
    fields: { waits_for: kind, lock: mode, relation, ...blockerFields(blockers) },
  };
}
