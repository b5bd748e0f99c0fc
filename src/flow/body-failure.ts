/** What the server said about a migration's text, in words for the person who wrote it. */
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
import type { Migration, Section } from "../core/migration.ts";
import { renderCaret } from "../core/source-position.ts";

/** What to run: a migration's up part or its down part. */
export interface Job {
  readonly migration: Migration;
  readonly section: Section;
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
