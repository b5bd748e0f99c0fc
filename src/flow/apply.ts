/** Applies and reverts single migrations inside the gate. */
import {
  type DbError,
  INSUFFICIENT_PRIVILEGE,
  INSUFFICIENT_RESOURCES,
  isConnectionTrouble,
  isContention,
  READ_ONLY_TRANSACTION,
  sqlStateOf,
} from "../core/db-error.ts";
import { HeadgateError } from "../core/error.ts";
import type { LedgerPlace } from "../core/ledger.ts";
import type { Migration, Section } from "../core/migration.ts";
import { renderCaret } from "../core/source-position.ts";
import { type BodyFrame, closeBody, openBody, runBody } from "../db/body.ts";
import { type Run, recordApplied, removeRow } from "../db/record.ts";
import type { Connection } from "../ports.ts";
import type { World } from "./access.ts";

const REPORT_EVERY_MS = 10_000;

/** A migration that is done, and how long its body took. */
export interface Applied {
  readonly version: number;
  readonly name: string;
  readonly durationMs: number;
}

/** What to run: a migration's up part or its down part. */
export interface Job {
  readonly migration: Migration;
  readonly section: Section;
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
 * Body and ledger row, in the gate's transaction.
 *
 * @throws {HeadgateError} `migration-failed` or `privilege-missing`; `DbError` when a retry may help.
 */
export async function applyMigration(
  world: World,
  connection: Connection,
  place: LedgerPlace,
  work: Patience & { readonly migration: Migration; readonly run: Run },
): Promise<Applied> {
  const { migration, run, lockTimeoutMs } = work;
  const job = { migration, section: migration.up, lockTimeoutMs };
  const { frame, durationMs } = await runJob(world, connection, job);
  const isOurs =
    frame !== undefined &&
    (await recordApplied(connection, place, { migration, run, xactId: frame.xactId, durationMs }));
  if (!isOurs) throw new BodyCommitted(migration);
  return { version: migration.version, name: migration.name, durationMs };
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
  const { clock, log } = world;
  const { migration, section } = job;
  const fields = { version: migration.version, name: migration.name };
  const startMs = clock.nowMs();
  const elapsedMs = (): number => Math.round(clock.nowMs() - startMs);
  log("migration.started", fields);
  const quiet = clock.every(REPORT_EVERY_MS, () =>
    log("migration.running", { ...fields, elapsed_ms: elapsedMs() }),
  );
  try {
    const frame = await openBody(connection, {
      lockTimeoutMs: migration.options.lockTimeoutMs ?? job.lockTimeoutMs,
      statementTimeoutMs: migration.options.statementTimeoutMs ?? 0,
    });
    await runBody(connection, section.sql);
    const isSame = await closeBody(connection, frame);
    return { frame: isSame ? frame : undefined, durationMs: elapsedMs() };
  } catch (error) {
    throw failureOf(error, job);
  } finally {
    quiet();
  }
}

/**
 * An error that another try may cure stays as it is, and so does a server that does not let anybody
 * write; everything else is the migration's.
 */
export function failureOf(error: unknown, job: Job): Error {
  if (!(error instanceof Error) || error.name !== "DbError") return error as Error;
  if (isContention(error) || isConnectionTrouble(error)) return error;
  if (sqlStateOf(error) === READ_ONLY_TRANSACTION) return error;
  return migrationFailed(error as DbError, job);
}

function migrationFailed(error: DbError, job: Job): HeadgateError {
  const verb = job.section === job.migration.up ? "apply" : "revert";
  const state = sqlStateOf(error) ?? "";
  const isPrivilege = state === INSUFFICIENT_PRIVILEGE;
  const text = describeServerError(error, job);
  return new HeadgateError(`Cannot ${verb} ${job.migration.file}: ${text}`, {
    code: isPrivilege ? "privilege-missing" : "migration-failed",
    hint: `Nothing of it stayed: ${nextStep(state)}`,
    cause: error,
  });
}

function nextStep(sqlState: string): string {
  if (sqlState === INSUFFICIENT_PRIVILEGE) {
    return "grant the role what it lacks, or let the owner of those objects migrate";
  }
  if (sqlState.startsWith(INSUFFICIENT_RESOURCES)) {
    return "free space on the server's disk, or give it what else it says it lacks, and run again";
  }
  return "correct the file (it was never applied), or the data it met, and run again";
}

/** A file, and the part of its text that was sent. */
interface Source {
  readonly migration: Pick<Migration, "file" | "text">;
  readonly section: Section;
}

/** What the server said, with its detail, its hint and a caret: 1..n lines. */
export function describeServerError({ message, server }: DbError, source: Source): string {
  const state = server === undefined ? "" : ` (SQLSTATE ${server.sqlState})`;
  const lines = [`${message}${state}`];
  if (server?.detail !== undefined) lines.push(`detail: ${server.detail}`);
  if (server?.hint !== undefined) lines.push(`server's hint: ${server.hint}`);
  const caret = caretOf(source, server?.position);
  if (caret !== undefined) lines.push(caret);
  return lines.join("\n");
}

/** The server counts code points from 1 in the text that it was sent. */
function caretOf({ migration, section }: Source, position: number | undefined): string | undefined {
  if (position === undefined) return undefined;
  const before = [...section.sql].slice(0, position - 1).join("");
  return renderCaret(migration.file, migration.text, section.start + before.length);
}
