/** Watches what a pooler does with two connections. The only thing it sets is `headgate.probe`. */
import { DbError } from "../core/db-error.ts";
import type { PoolSight } from "../core/doctor-pool.ts";
import type { Connection } from "../ports.ts";

const DEADLINE_MS = 3000;
/** How often the session with our setting is looked for, to take it back. */
const CLEANUP_TRIES = 5;

/**
 * Opens two connections at once and asks each one which server session answers.
 *
 * @param open A new connection each time; closed here.
 * @param token A value that nobody else uses.
 */
export async function watchPool(open: () => Connection, token: string): Promise<PoolSight> {
  const first = open();
  const second = open();
  try {
    const { rows, loginPid } = await first.run("select pg_backend_pid() as pid");
    const isPooled = loginPid !== undefined && loginPid !== Number(rows[0]?.["pid"]);
    const nothing = { isShared: false, hasLeaked: undefined, isLeftOver: false };
    if (!isPooled) return { isPooled, isStatementMode: false, ...nothing };
    const pid = await set(first, token);
    if (pid === undefined) return { isPooled, isStatementMode: true, ...nothing };
    const seen = await look(second);
    const isShared = seen?.pid === pid;
    const hasLeaked = isShared ? seen.token === token : undefined;
    // A session pool lends it to the first one only, and to others once that has gone.
    const others = Array.from({ length: CLEANUP_TRIES }, open);
    const isLeftOver = !(await reset([first, second, ...others], pid));
    for (const other of others) await other.close();
    return { isPooled, isStatementMode: false, isShared, hasLeaked, isLeftOver };
  } finally {
    await first.close();
    await second.close();
  }
}

/** A setting of the session, made in a transaction. Undefined: no transaction is allowed. */
async function set(connection: Connection, token: string): Promise<number | undefined> {
  try {
    await connection.run("begin isolation level read committed read only");
  } catch (error) {
    if (error instanceof DbError && error.kind !== "deadline") return undefined;
    throw error;
  }
  const { rows } = await connection.bind(
    "select pg_backend_pid() as pid, set_config('headgate.probe', $1::text, false)",
    [token],
  );
  await connection.run("commit");
  return Number(rows[0]?.["pid"]);
}

interface Sight {
  readonly pid: number;
  readonly token: unknown;
}

/** Undefined: no place in the pool within the deadline. */
async function look(connection: Connection): Promise<Sight | undefined> {
  try {
    const { rows } = await connection.run(
      "select pg_backend_pid() as pid, current_setting('headgate.probe', true) as token",
      DEADLINE_MS,
    );
    return { pid: Number(rows[0]?.["pid"]), token: rows[0]?.["token"] };
  } catch {
    return undefined;
  }
}

/** Takes the setting back on its own session. False: the pooler did not lend that one again. */
async function reset(connections: readonly Connection[], pid: number): Promise<boolean> {
  for (const connection of connections) {
    if (await resetOn(connection, pid)) return true;
  }
  return false;
}

async function resetOn(connection: Connection, pid: number): Promise<boolean> {
  try {
    await connection.run("begin isolation level read committed read only", DEADLINE_MS);
    const { rows } = await connection.run("select pg_backend_pid() as pid");
    const isThat = Number(rows[0]?.["pid"]) === pid;
    if (isThat) await connection.run("reset headgate.probe");
    await connection.run("commit");
    return isThat;
  } catch {
    return false;
  } finally {
    await connection.close();
  }
}
