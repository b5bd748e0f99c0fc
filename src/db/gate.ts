/**
 * The gate is the migration's own transaction: BEGIN, try K_STEP, lock the ledger, read it again,
 * body, row, COMMIT, on one connection. Facts that force that shape, shown by `race.test.ts`,
 * `race-controls.test.ts`, `held-gate.test.ts` and `crash.test.ts` of `test/e2e`:
 *
 * (1) A transaction pooler gives a session's backend to the next client: a session lock is
 *     orphaned, or held twice. A transaction's lock ends with the transaction, whoever ends it.
 * (2) A lock on another connection fences nothing: kill the runner, and its DDL commits after the
 *     lock is free.
 * (3) A waiter blocked inside a lock function holds a snapshot and a place in the pool. So a runner
 *     tries, lets go, sleeps without a transaction, and looks at the ledger before it tries again.
 * (4) After the wait the catalog cache may be stale. So the ledger's existence is asked of pg_class
 *     by a query, in the transaction that holds the lock.
 * (5) The ledger is read after LOCK TABLE, never before: the row of the runner that went first must
 *     be visible, and its primary key is the last fence should every lock fail.
 */
import { DbError, sqlStateOf } from "../core/db-error.ts";
import { type GateKey, keyArguments, runKey } from "../core/gate-key.ts";
import { integerLiteral, quoteLedger } from "../core/identifier.ts";
import type { LedgerPlace } from "../core/ledger.ts";
import type { Connection, Result } from "../ports.ts";
import {
  followSearchPath,
  type KnownSettings,
  PRE,
  settingKnown,
  setWhereKnown,
  WHERE_KNOWN_MESSAGE,
} from "./gate-settings.ts";
import { createMissing } from "./ledger-create.ts";
import { readTenancy } from "./place.ts";
import { together } from "./together.ts";

/** Which lock guards which ledger. */
export interface Gate {
  readonly key: GateKey;
  readonly place: LedgerPlace;
  /** Another tool's bigint key that is taken in the same transaction, for fleets that run both. */
  readonly foreignKey: bigint | undefined;
  /** As `options=-c search_path=…` asked for it; poolers refuse it as a start-up parameter. */
  readonly searchPath: string | undefined;
  /** True: the ledger is neither made nor locked, and only its name decides the key. */
  readonly isLedgerless: boolean;
}

/**
 * Begins the transaction and tries the lock. False: somebody else has it, and nothing is open.
 *
 * It asks first in a statement of its own, which lets go at once: whoever finds the gate taken has
 * opened no transaction, and so keeps no place in a small pool while it waits to be scheduled.
 */
export async function tryGate(connection: Connection, gate: Gate): Promise<boolean> {
  if (!(await isGateFree(connection, gate))) return false;
  if (isAcquired(await connection.run(`${PRE};\nselect ${tryKeys(gate)} as acquired`))) return true;
  await connection.run("rollback");
  return false;
}

/** Lets go at once of what it tried. */
export async function isGateFree(connection: Connection, gate: Gate): Promise<boolean> {
  return isAcquired(await connection.run(`select ${tryKeys(gate)} as acquired`));
}

function isAcquired({ rows }: Result): boolean {
  return rows[0]?.["acquired"] === true;
}

function tryKeys({ key, foreignKey }: Pick<Gate, "key" | "foreignKey">): string {
  const own = `pg_try_advisory_xact_lock(${keyArguments(key)})`;
  if (foreignKey === undefined) return own;
  const foreign = `(${integerLiteral(foreignKey)})::bigint`;
  return `${own} and not ${hasForeignKey(foreign)} and pg_try_advisory_xact_lock(${foreign})`;
}

/**
 * The session that answers has the key already: through a pooler it is the one on which another
 * client took it, where any further try would succeed and keep nobody out. AND goes left to right.
 */
function hasForeignKey(foreign: string): string {
  return `exists (select from pg_locks l where l.pid = pg_backend_pid() and l.locktype = 'advisory'
  and l.database = (select oid from pg_database where datname = current_database())
  and l.objsubid = 1 and (l.classid::bigint << 32) | l.objid::bigint = ${foreign})`;
}

/**
 * Begins, takes the lock and locks the ledger in one message, for a run that was inside a moment ago
 * and knows that there is a ledger. Nothing of it is left to wait for when the lock is another's: the
 * server makes that an error, so that the ledger is not queued for without it.
 *
 * @param settings As `findLedger` gave them.
 * @throws {DbError} with `isGateTaken`, or 42P01 when the ledger is gone meanwhile.
 */
export async function enterAgain(
  connection: Connection,
  gate: Gate,
  settings: KnownSettings,
): Promise<void> {
  await together([
    connection.run(enterMessage(gate, settings)),
    followSearchPath(connection, gate),
  ]);
}

/** Nothing in it but statements of our own, and no value. */
export function enterMessage(gate: Gate, settings: KnownSettings): string {
  return `${PRE};
select ${settingKnown(settings)};
select (case when ${tryKeys(gate)} then 'true' else 'headgate: the gate is taken' end)::text::boolean;
${lockMessage(gate)}`;
}

/** True for the error of `enterAgain` that stands for "busy": what was said is no boolean. */
export function isGateTaken(error: unknown): boolean {
  return sqlStateOf(error) === "22P02";
}

/** What was found, or made, behind the lock. */
export interface Found {
  readonly createdLedger: boolean;
  readonly settings: KnownSettings;
}

/**
 * Inside the gate: puts its settings in force, and sees to it that the ledger exists.
 *
 * @throws {HeadgateError} `privilege-missing` before any DDL, with the statement that cures it.
 */
export async function findLedger(connection: Connection, gate: Gate): Promise<Found> {
  const [settings, , tenancy] = await together([
    setWhereKnown(connection),
    followSearchPath(connection, gate),
    gate.isLedgerless ? undefined : readTenancy(connection, gate.place),
  ]);
  const createdLedger = tenancy !== undefined && !tenancy.exists;
  if (createdLedger) await createMissing(connection, gate.place, tenancy);
  return { createdLedger, settings };
}

/** Nobody else writes to it until this transaction ends. */
export async function lockLedger(connection: Connection, gate: Gate): Promise<void> {
  await connection.run(lockMessage(gate));
}

function lockMessage({ place }: Gate): string {
  return `lock table ${quoteLedger(place)} in share row exclusive mode`;
}

/**
 * Ends the transaction for good. A COMMIT of an aborted transaction succeeds with the tag ROLLBACK.
 *
 * @throws {DbError} kind `lost` or `deadline` when the answer did not come: the effect is unknown.
 */
export async function commit(connection: Connection): Promise<void> {
  const { tag } = await connection.run("commit");
  if (tag !== "COMMIT") throw new DbError("server", "the transaction was rolled back at COMMIT");
}

/**
 * The signal of life of a migration that runs outside a transaction: a transaction of its own that
 * holds K_RUN and does nothing. Simple protocol only, and never a SELECT once it is open: a snapshot
 * in it would hang the index build that it stands for. Undefined: the lock is taken, nothing is open.
 *
 * @returns The server process that holds it, by which others' locks are told from ours.
 */
export async function tryRunLock(
  connection: Connection,
  gate: Gate,
  deadlineMs: number,
): Promise<number | undefined> {
  const run = { ...gate, key: runKey(gate.place) };
  const { rows } = await connection.run(
    `${PRE};\n${WHERE_KNOWN_MESSAGE};\nselect ${tryKeys(run)} as acquired, pg_backend_pid() as pid`,
    deadlineMs,
  );
  if (rows[0]?.["acquired"] === true) return Number(rows[0]["pid"]);
  await connection.run("rollback");
  return undefined;
}

/** A transaction with the ledger locked, and without the gate's key. */
export async function beginAtLedger(connection: Connection, gate: Gate): Promise<void> {
  await connection.run(PRE);
  await enterLedger(connection, gate);
}

/** Inside the gate: the ledger, existing and locked. */
export async function enterLedger(connection: Connection, gate: Gate): Promise<void> {
  await findLedger(connection, gate);
  await lockLedger(connection, gate);
}

/** Leaves the gate with nothing done; a connection that is gone has rolled back by itself. */
export async function rollback(connection: Connection): Promise<void> {
  await connection.run("rollback").catch(() => undefined);
}
