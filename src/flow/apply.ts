/** Applies and reverts single migrations inside the gate. */
import type { LedgerPlace } from "../core/ledger.ts";
import type { Migration } from "../core/migration.ts";
import {
  type BodyFrame,
  type BodyLimits,
  closeBody,
  limitBody,
  openBody,
  runBody,
} from "../db/body.ts";
import { type Run, recordApplied, removeRow } from "../db/record.ts";
import { together } from "../db/together.ts";
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

/**
 * Body, ledger row and maybe COMMIT, sent without waiting between them: they take effect together or
 * not at all. A body that fails leaves the rest to fail in its transaction; one that ended it makes
 * the row's statement fail, so that no COMMIT without the row succeeds.
 *
 * @throws {HeadgateError} `migration-failed` or `privilege-missing`; `DbError` when a retry may help.
 */
export async function applyMigration(
  world: World,
  connection: Connection,
  place: LedgerPlace,
  work: Patience & {
    readonly migration: Migration;
    readonly run: Run;
    readonly frame: BodyFrame;
    /** Undefined: more is to come in this transaction. */
    readonly commit: (() => Promise<void>) | undefined;
  },
): Promise<Applied> {
  const { migration, run, frame } = work;
  const job = { migration, section: migration.up, lockTimeoutMs: work.lockTimeoutMs };
  const report = reporting(world, migration);
  try {
    const effect = sendBody(connection, job, frame);
    const row = recordApplied(connection, place, { migration, run, xactId: frame.xactId });
    const end = work.commit?.();
    const [isSame, durationMs] = await together([effect, row, end]);
    if (!isSame || durationMs === undefined) throw new BodyCommitted(migration);
    return { version: migration.version, name: migration.name, durationMs };
  } finally {
    report.end();
  }
}

/** False: the body ended the transaction. @throws in the words of `failureOf`. */
async function sendBody(
  connection: Connection,
  job: Job & Patience,
  frame: BodyFrame,
): Promise<boolean> {
  try {
    const [, , isSame] = await together([
      limitBody(connection, limitsOf(job.migration, job)),
      runBody(connection, job.section.sql),
      closeBody(connection, frame),
    ]);
    return isSame;
  } catch (error) {
    throw failureOf(error, job);
  }
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
): Promise<{ readonly frame: BodyFrame | undefined; readonly durationMs: number }> {
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
function reporting(
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
