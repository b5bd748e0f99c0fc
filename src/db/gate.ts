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
import { asContention, CREATION_RACE, DbError } from "../core/db-error.ts";
import { HeadgateError } from "../core/error.ts";
import { type GateKey, keyArguments, runKey } from "../core/gate-key.ts";
import { integerLiteral, quoteIdentifier, quoteLedger } from "../core/identifier.ts";
import type { LedgerPlace } from "../core/ledger.ts";
import type { Connection, Result } from "../ports.ts";
import { createLedger } from "./ledger.ts";
import { readTenancy, type Tenancy } from "./place.ts";

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

/** How long our own LOCK TABLE may queue: longer, and it would block the readers behind it. */
const LEDGER_LOCK_MS = 2000;
/** The only bound on a frozen holder: the server ends its transaction. Never 0. */
const IDLE_LIMIT_MS = 30_000;

/**
 * Settings that exist only on some servers; a plain SET of an unknown one is an error. For those
 * who got the lock only: the view behind it costs the server more than the lock.
 */
const WHERE_KNOWN_MESSAGE = `select set_config(known.name, known.value, true)
from (values ('client_connection_check_interval', '2s'), ('tcp_keepalives_idle', '10'),
  ('tcp_keepalives_interval', '5'), ('tcp_keepalives_count', '3'), ('tcp_user_timeout', '25000'),
  ('transaction_timeout', '0')) as known (name, value)
join pg_settings s on s.name = known.name`;

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

/** The idle limit comes before the lock: a holder that freezes right after it is bounded too. */
const PRE = `begin isolation level read committed;
set local statement_timeout = 0;
set local lock_timeout = ${integerLiteral(LEDGER_LOCK_MS)};
set local idle_in_transaction_session_timeout = ${integerLiteral(IDLE_LIMIT_MS)}`;

/**
 * Inside the gate: sees to it that the ledger exists and locks it. True when it was created.
 *
 * @throws {HeadgateError} `privilege-missing` before any DDL, with the statement that cures it.
 */
export async function enterLedger(connection: Connection, gate: Gate): Promise<boolean> {
  await connection.run(WHERE_KNOWN_MESSAGE);
  if (gate.searchPath !== undefined) {
    await connection.bind("select set_config('search_path', $1::text, true)", [gate.searchPath]);
  }
  if (gate.isLedgerless) return false;
  const tenancy = await readTenancy(connection, gate.place);
  if (!tenancy.exists) {
    if (!tenancy.mayCreate) throw mayNotCreate("the ledger", gate.place, tenancy);
    await createLedger(connection, gate.place).catch(retryLostRace);
  }
  await connection.run(`lock table ${quoteLedger(gate.place)} in share row exclusive mode`);
  return !tenancy.exists;
}

/** Somebody who does not pass the gate created it meanwhile: as good as a lock that was not got. */
function retryLostRace(error: unknown): never {
  if (!(error instanceof DbError) || !CREATION_RACE.has(error.server?.sqlState ?? "")) throw error;
  throw asContention(error);
}

/** The error with the statement that cures it. */
export function mayNotCreate(what: string, place: LedgerPlace, tenancy: Tenancy): HeadgateError {
  const schema = quoteIdentifier(place.schema);
  const { role, schemaOwner: owner } = tenancy;
  return new HeadgateError(
    `Cannot create ${what} ${quoteLedger(place)}: role ${quoteIdentifier(role)} may not create in schema ${schema}, which ${quoteIdentifier(owner)} owns (SQLSTATE 42501)`,
    {
      code: "privilege-missing",
      hint: `As ${quoteIdentifier(owner)} or a superuser: grant create, usage on schema ${schema} to ${quoteIdentifier(role)}; or: alter schema ${schema} owner to ${quoteIdentifier(role)}`,
    },
  );
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

/** Leaves the gate with nothing done; a connection that is gone has rolled back by itself. */
export async function rollback(connection: Connection): Promise<void> {
  await connection.run("rollback").catch(() => undefined);
}
