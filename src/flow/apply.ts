/** Applies and reverts single migrations inside the gate. */
import { isConnectionTrouble, isContention } from "../core/db-error.ts";
import type { LedgerPlace } from "../core/ledger.ts";
import type { Migration } from "../core/migration.ts";
import {
  type BodyFrame,
  type BodyLimits,
  closeBody,
  type KnownFrame,
  limitBody,
  openBody,
  runBody,
  runBodyInside,
} from "../db/body.ts";
import { type Run, recordApplied, removeRow } from "../db/record.ts";
import { together } from "../db/together.ts";
import { hasCommitted } from "../db/xact.ts";
import type { Connection } from "../ports.ts";
import type { World } from "./access.ts";
import { failureOf, type Job } from "./body-failure.ts";

const REPORT_EVERY_MS = 10_000;

/** A migration that is done, and how long its body took. */
export interface Applied {
  readonly version: number;
  readonly name: string;
  readonly durationMs: number;
}

/** A migration that waits for a lock makes every reader behind it wait too. */
interface Patience {
  /** Of every statement, where the migration does not say. 0: no limit. */
  readonly lockTimeoutMs: number;
}

/** Thrown when a body ended the gate's transaction: its effect stays, and a person must look. */
export class BodyCommitted extends Error {
  readonly migration: Migration;

  constructor(migration: Migration) {
    super(`${migration.file} ended the transaction that headgate opened`);
    this.name = "BodyCommitted";
    this.migration = migration;
  }
}

/** Thrown when a migration's turn did not come: the ledger, or the gate, is no longer as it was decided upon. */
export class TurnLost extends Error {}

/** One migration, and the transaction that it is applied in. */
export interface Turn extends Patience {
  readonly migration: Migration;
  readonly run: Run;
  readonly frame: BodyFrame;
  /** Undefined: the transaction is open. Gives its number. */
  readonly begin: ((limits: BodyLimits) => Promise<string>) | undefined;
  /** Undefined: more is to come in this transaction. */
  readonly commit: (() => Promise<void>) | undefined;
}

/**
 * Body, ledger row and maybe BEGIN and COMMIT, all sent before it first waits, so that the next one may
 * be sent on top: they take effect together or not at all. A body that fails leaves the rest to fail in its transaction; one that ended
 * it makes the row's statement fail, so that no COMMIT without the row succeeds.
 *
 * @throws {HeadgateError} `migration-failed` or `privilege-missing`; `DbError` when a retry may help;
 *   `TurnLost`, `BodyCommitted`.
 */
export async function applyMigration(
  connection: Connection,
  place: LedgerPlace,
  work: Turn,
): Promise<Applied> {
  const { migration, run, lockTimeoutMs, begin } = work;
  const job = { migration, section: migration.up, lockTimeoutMs };
  const frame = begin === undefined ? work.frame : { ...work.frame, xactId: undefined };
  const begun = begin?.(limitsOf(migration, job)).catch(asTurnLost);
  const effect = sendBody(connection, job, frame);
  const row = recordApplied(connection, place, { migration, run, xactId: frame.xactId });
  const end = work.commit?.().catch(asFailure(job));
  const answers = together([begun, effect, row]);
  await Promise.allSettled([answers, end]);
  const [begunId, isSame, durationMs] = await answers;
  if (!isSame || durationMs === undefined) {
    const isKept = begunId === undefined || (await hasCommitted(connection, begunId));
    throw isKept ? new BodyCommitted(migration) : new TurnLost();
  }
  await end;
  return { version: migration.version, name: migration.name, durationMs };
}

/** What another try may cure is told as it is; the rest shows when the ledger is read again. */
function asTurnLost(error: unknown): never {
  throw isContention(error) || isConnectionTrouble(error) ? error : new TurnLost();
}

function asFailure(job: Job): (error: unknown) => never {
  return (error) => {
    throw failureOf(error, job);
  };
}

/** False: the body ended the transaction. */
async function sendBody(
  connection: Connection,
  job: Job & Patience,
  frame: BodyFrame,
): Promise<boolean> {
  const isOpen = frame.xactId !== undefined;
  const [, , isSame] = await together([
    isOpen ? limitBody(connection, limitsOf(job.migration, job)) : undefined,
    (isOpen ? runBody : runBodyInside)(connection, job.section.sql),
    closeBody(connection, frame),
  ]).catch(asFailure(job));
  return isSame;
}

/** A migration that is undone, once its transaction is committed. */
export interface Reverted extends Applied {
  readonly xactId: string;
}

/** The down part, and the row goes. @throws as `applyMigration`. */
export async function revertMigration(
  world: World,
  connection: Connection,
  place: LedgerPlace,
  job: Job & Patience,
): Promise<Reverted> {
  const { migration } = job;
  const { frame, durationMs } = await runJob(world, connection, job);
  const isOurs =
    frame !== undefined &&
    (await removeRow(connection, place, { version: migration.version, xactId: frame.xactId }));
  if (!isOurs) throw new BodyCommitted(migration);
  return { version: migration.version, name: migration.name, durationMs, xactId: frame.xactId };
}

/** @returns The frame, or undefined when the body ended the transaction. */
async function runJob(
  world: World,
  connection: Connection,
  job: Job & Patience,
): Promise<{ readonly frame: KnownFrame | undefined; readonly durationMs: number }> {
  const { migration, section } = job;
  const report = reporting(world, migration);
  try {
    const frame = await openBody(connection, limitsOf(migration, job));
    await runBody(connection, section.sql);
    const isSame = await closeBody(connection, frame);
    return { frame: isSame ? frame : undefined, durationMs: report.elapsedMs() };
  } catch (error) {
    throw failureOf(error, job);
  } finally {
    report.end();
  }
}

function limitsOf({ options }: Migration, { lockTimeoutMs }: Patience): BodyLimits {
  return {
    lockTimeoutMs: options.lockTimeoutMs ?? lockTimeoutMs,
    statementTimeoutMs: options.statementTimeoutMs ?? 0,
  };
}

/** Says that a body has begun, and every now and then that it still runs. */
export function reporting(
  { clock, log }: World,
  { version, name }: Migration,
): { readonly elapsedMs: () => number; readonly end: () => void } {
  const startMs = clock.nowMs();
  const elapsedMs = (): number => Math.round(clock.nowMs() - startMs);
  log("migration.started", { version, name });
  const end = clock.every(REPORT_EVERY_MS, () =>
    log("migration.running", { version, name, elapsed_ms: elapsedMs() }),
  );
  return { elapsedMs, end };
}
