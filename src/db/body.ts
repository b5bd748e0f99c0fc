/** Runs a migration's text inside the gate's transaction. */
import { DbError } from "../core/db-error.ts";
import { integerLiteral } from "../core/identifier.ts";
import type { Connection } from "../ports.ts";
import { UNBOUNDED } from "./deadlines.ts";
import { together } from "./together.ts";

/** In force while the body runs, and only then. */
export interface BodyLimits {
  readonly lockTimeoutMs: number;
  /** 0: no limit. */
  readonly statementTimeoutMs: number;
}

/** The transaction as it was before the body, to be restored and compared after it. */
export interface BodyFrame {
  /** Undefined: the transaction itself keeps it, as `beginNext` noted it. */
  readonly xactId: string | undefined;
  readonly role: string;
  readonly searchPath: string;
}

/** The frame of a transaction whose identity is known. */
export interface KnownFrame extends BodyFrame {
  readonly xactId: string;
}

/** Notes the transaction's identity and puts the body's limits in force. */
export async function openBody(connection: Connection, limits: BodyLimits): Promise<KnownFrame> {
  const [, frame] = await together([limitBody(connection, limits), noteFrame(connection)]);
  return frame;
}

/** What must still be so behind the body. */
export async function noteFrame(connection: Connection): Promise<KnownFrame> {
  const { rows } = await connection.run(`select pg_current_xact_id()::text as xact_id,
  current_setting('role') as role, current_setting('search_path') as search_path`);
  const row = rows[0] ?? {};
  return {
    xactId: String(row["xact_id"]),
    role: String(row["role"]),
    searchPath: String(row["search_path"]),
  };
}

/** Puts the body's limits in force, and notes when it began, in the transaction itself. */
export async function limitBody(connection: Connection, limits: BodyLimits): Promise<void> {
  await connection.run(
    `select ${settingLimits(limits)}, set_config('headgate.began', extract(epoch from clock_timestamp())::text, true)`,
  );
}

/** As columns of a query. */
export function settingLimits(limits: BodyLimits): string {
  return `set_config('lock_timeout', '${integerLiteral(limits.lockTimeoutMs)}', true),
  set_config('statement_timeout', '${integerLiteral(limits.statementTimeoutMs)}', true)`;
}

/**
 * The text as it stands. It may run for hours: the connection's check interval and the command's
 * own deadline bound it.
 *
 * @throws {DbError} as the server says, with a position in `sql`.
 */
export async function runBody(connection: Connection, sql: string): Promise<void> {
  await connection.run(sql, UNBOUNDED);
}

/** As it stands at the end of what `beginNext` sends, and nowhere else. */
const ONLY_INSIDE = "release savepoint headgate;\n";

/** For a body that is sent before it is known that its transaction has begun: outside of it, nothing of it runs. */
export async function runBodyInside(connection: Connection, sql: string): Promise<void> {
  try {
    await connection.run(`${ONLY_INSIDE}${sql}`, UNBOUNDED);
  } catch (error) {
    throw error instanceof DbError ? error.after(ONLY_INSIDE.length) : error;
  }
}

/**
 * Role and search path that the body set with SET LOCAL must not decide who writes the ledger row
 * and where. False: the body ended the transaction, so that what it did is there to stay.
 */
export async function closeBody(connection: Connection, frame: BodyFrame): Promise<boolean> {
  const { rows } = await connection.bind(
    `select pg_current_xact_id_if_assigned()::text = 
    coalesce($1::text, current_setting('headgate.xact', true)) as is_same,
  set_config('role', $2::text, true), set_config('search_path', $3::text, true),
  set_config('statement_timeout', '0', true)`,
    [frame.xactId ?? null, frame.role, frame.searchPath],
  );
  return rows[0]?.["is_same"] === true;
}
