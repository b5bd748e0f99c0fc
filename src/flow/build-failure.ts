/** Errors of migrations that run outside a transaction: some of it stays, and a person must look. */
import { type BuildStatement, isRepeatable } from "../core/build-step.ts";
import type { DbError } from "../core/db-error.ts";
import { HeadgateError } from "../core/error.ts";
import type { Migration } from "../core/migration.ts";
import { hasSearchPath, readTimeouts, type Timeout } from "../db/build-session.ts";
import type { Connection } from "../ports.ts";
import type { Access } from "./access.ts";
import { describeServerError } from "./body-failure.ts";

/** Which statement failed, and how many there are. */
export interface FailedStatement {
  readonly migration: Migration;
  readonly statement: BuildStatement;
  /** From 0. */
  readonly index: number;
  readonly count: number;
}

/** What the row says. One line: no caret, no file. */
export function failureText(error: DbError, { index, count }: FailedStatement): string {
  const state = error.server === undefined ? "" : ` (SQLSTATE ${error.server.sqlState})`;
  return `statement ${index + 1} of ${count}: ${error.message}${state}`;
}

/** The error for the person who must look. */
export function buildFailed(error: DbError, failed: FailedStatement): HeadgateError {
  const { migration, statement, index, count } = failed;
  const section = { sql: statement.sql, start: statement.start };
  const lines = describeServerError(error, { migration, section });
  const done = index === 0 ? "No statement before it ran" : `The ${index} before it stay`;
  const left =
    statement.step.kind === "create-index"
      ? " An invalid index may be left; it is dropped and built again by the next run."
      : "";
  return new HeadgateError(
    `Cannot apply ${migration.file}: statement ${index + 1} of ${count} failed: ${lines}`,
    {
      code: "migration-failed",
      hint: `${done}, and its row is marked failed and stops every runner.${left} Correct the data, or finish by hand; then headgate resolve ${migration.version} --rolled-back to run the whole file again, or --applied to go on`,
      cause: error,
    },
  );
}

/** When the process must stop in the middle: what stays, which is as after a kill, and what comes next. */
export function orStopped(error: unknown, stop: AbortSignal, failed: FailedStatement): unknown {
  if (!(error instanceof HeadgateError) || error !== stop.reason) return error;
  const { migration, statement, index, count } = failed;
  const why = error.message.replace(/^Cannot [^:]*: /, "");
  const next = isRepeatable(statement.step)
    ? "the next headgate up takes it over and runs this statement again"
    : `see what the statement did, then headgate resolve ${migration.version} --rolled-back or --applied`;
  return new HeadgateError(
    `Cannot finish statement ${index + 1} of ${count} of ${migration.file}: ${why}`,
    { code: error.code, hint: `Its row stays running: ${next}`, cause: error },
  );
}

/**
 * Looks at the session before anything is changed.
 *
 * @throws {HeadgateError} `migration-failed` for timeouts that may cut a build short,
 *   `config-invalid` for a search path that only a transaction could have.
 */
export async function refuseSession(
  connection: Connection,
  access: Access,
  migration: Migration,
): Promise<void> {
  const { searchPath } = access.direct ?? access.main;
  if (searchPath !== undefined && !(await hasSearchPath(connection, searchPath))) {
    throw searchPathError(migration, searchPath);
  }
  const timeouts = migration.options.acceptTimeouts ? [] : await readTimeouts(connection);
  const [first] = timeouts;
  if (first) throw timeoutsError(migration, timeouts, first);
}

function searchPathError(migration: Migration, searchPath: string): HeadgateError {
  return new HeadgateError(
    `Cannot apply ${migration.file}: outside a transaction the search path of the URL (${searchPath}) cannot be set`,
    {
      code: "config-invalid",
      hint: "Set it on the role (alter role … set search_path), and leave it out of the URL or keep it equal",
    },
  );
}

function timeoutsError(
  migration: Migration,
  timeouts: readonly Timeout[],
  first: Timeout,
): HeadgateError {
  const list = timeouts.map(
    ({ name, value, source, role }) => `${name} is ${value} for role ${role} (source: ${source})`,
  );
  return new HeadgateError(
    `Cannot apply ${migration.file}: ${list.join(", ")}, which may cut it short, and nothing can be set around it`,
    {
      code: "migration-failed",
      hint: `Nothing was changed. Let another role migrate, or: alter role ${first.role} set ${first.name} = 0; or say accept-timeouts:true beside transaction:false`,
    },
  );
}
