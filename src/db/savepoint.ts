/** One row at a time: what fails rolls back itself, and nothing that was written before it. */
import { DbError, endsConnection, sqlStateOf, UNIQUE_VIOLATION } from "../core/db-error.ts";
import type { Connection, Result } from "../ports.ts";

/** Runs `work` in a savepoint; its error leaves the transaction usable and is thrown on. */
export async function inSavepoint<T>(connection: Connection, work: () => Promise<T>): Promise<T> {
  await connection.run("savepoint one_row");
  try {
    const result = await work();
    await connection.run("release savepoint one_row");
    return result;
  } catch (error) {
    if (!endsConnection(error)) {
      await connection.run("rollback to savepoint one_row; release savepoint one_row");
    }
    throw error;
  }
}

/** The id that counts, and whether it is the one that was inserted here. */
export interface Inserted {
  readonly id: string;
  readonly isOurs: boolean;
}

/**
 * Inserts, or takes the row of whoever was first. Only a violation of an expected unique index is a
 * lost race; every other error is thrown on.
 *
 * @param indexes The unique indexes that a lost race violates.
 * @param work Both yield one row with an `id`; `find` yields undefined when there is none.
 */
export async function insertOrFind(
  connection: Connection,
  indexes: readonly string[],
  work: {
    readonly insert: () => Promise<string | undefined>;
    readonly find: () => Promise<string | undefined>;
  },
): Promise<Inserted> {
  try {
    const id = await inSavepoint(connection, work.insert);
    if (id === undefined) throw new DbError("server", "the insert wrote no row");
    return { id, isOurs: true };
  } catch (error) {
    if (!isViolationOf(error, indexes)) throw error;
    const id = await work.find();
    if (id === undefined) throw error;
    return { id, isOurs: false };
  }
}

/** True for a violation of one of these unique indexes. */
export function isViolationOf(error: unknown, indexes: readonly string[]): error is DbError {
  if (!(error instanceof DbError) || sqlStateOf(error) !== UNIQUE_VIOLATION) return false;
  return indexes.includes(error.server?.constraint ?? "");
}

/** The first row's `id`. */
export function idOf({ rows }: Result): string | undefined {
  const id = rows[0]?.["id"];
  return id === undefined ? undefined : String(id);
}
