/**
 * The ledger's SQL. Readers name columns and only read: no function here but `createLedger`,
 * `recordApplied`, `recordFailed` and `removeRow` writes, and no reader creates what it reads.
 */
import * as v from "valibot";
import { INVALID_SCHEMA_NAME, sqlStateOf, UNDEFINED_TABLE } from "../core/db-error.ts";
import { integerLiteral, quoteLedger } from "../core/identifier.ts";
import type { Ledger, LedgerName, LedgerPlace, LedgerRow, Tip } from "../core/ledger.ts";
import type { Connection, Result } from "../ports.ts";

/** The layout's number; it stands in the table's comment, so that a person can look it up. */
export const LEDGER_LAYOUT = 1;

const COLUMNS = `version, name, checksum, history, state, error, statements_done, breaking, run_id::text as run_id,
  coalesce(lease_until > clock_timestamp(), false) as alive,
  coalesce(finished_at > clock_timestamp() - interval '1 second', false) as is_recent,
  started_at, finished_at, duration_ms, applied_by, tool_version`;

const number = v.pipe(v.union([v.string(), v.number()]), v.transform(Number), v.safeInteger());
const text = v.nullable(v.string());
const rowSchema = v.object({
  version: number,
  name: v.string(),
  checksum: v.string(),
  history: v.string(),
  state: v.picklist(["applied", "running", "failed"]),
  error: text,
  statements_done: number,
  breaking: v.boolean(),
  run_id: text,
  alive: v.boolean(),
  is_recent: v.boolean(),
  started_at: v.nullable(v.date()),
  finished_at: v.nullable(v.date()),
  duration_ms: v.nullable(number),
  applied_by: text,
  tool_version: text,
});

/**
 * All rows, ascending by version. A missing table is an answer, outside a transaction.
 *
 * @throws {DbError} as the server says; a table of another shape is 42703 or a `ValiError`.
 */
export async function readLedger(
  connection: Connection,
  ledger: LedgerName | LedgerPlace,
): Promise<Ledger> {
  const rows = await rowsOrAbsent(
    connection.run(`select ${COLUMNS} from ${quoteLedger(ledger)} order by version`),
  );
  return rows ? { kind: "present", rows } : { kind: "absent" };
}

/** The rows from `version` on, ascending. @throws {DbError} also when the table is missing. */
export async function readRowsFrom(
  connection: Connection,
  place: LedgerPlace,
  version: number,
): Promise<readonly LedgerRow[]> {
  const { rows } = await connection.run(
    `select ${COLUMNS} from ${quoteLedger(place)} where version >= ${integerLiteral(version)} order by version`,
  );
  return rows.map(toLedgerRow);
}

/**
 * The ledger's end around `headVersion`, in one round trip and by the primary key's index alone,
 * however long the ledger is.
 */
export async function readTip(
  connection: Connection,
  ledger: LedgerName | LedgerPlace,
  headVersion: number,
): Promise<Tip> {
  const table = quoteLedger(ledger);
  const head = integerLiteral(headVersion);
  const rows = await rowsOrAbsent(
    connection.run(`select * from (
  (select ${COLUMNS} from ${table} where version < ${head} order by version desc limit 1)
  union all
  (select ${COLUMNS} from ${table} where version >= ${head} order by version)) as tip order by version`),
  );
  if (!rows) return { kind: "absent" };
  return {
    kind: "present",
    head: rows.find((row) => row.version === headVersion),
    above: rows.filter((row) => row.version > headVersion),
    below: rows.find((row) => row.version < headVersion),
  };
}

async function rowsOrAbsent(pending: Promise<Result>): Promise<readonly LedgerRow[] | undefined> {
  try {
    return (await pending).rows.map(toLedgerRow);
  } catch (error) {
    const state = sqlStateOf(error);
    if (state === UNDEFINED_TABLE || state === INVALID_SCHEMA_NAME) return undefined;
    throw error;
  }
}

function toLedgerRow(raw: unknown): LedgerRow {
  const row = v.parse(rowSchema, raw);
  return {
    version: row.version,
    name: row.name,
    checksum: row.checksum,
    history: row.history,
    state: row.state,
    error: row.error,
    statementsDone: row.statements_done,
    breaking: row.breaking,
    runId: row.run_id,
    alive: row.alive,
    isRecent: row.is_recent,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
    durationMs: row.duration_ms,
    appliedBy: row.applied_by,
    toolVersion: row.tool_version,
  };
}

/** Called inside the gate, after a query has shown that the table is missing. */
export async function createLedger(connection: Connection, place: LedgerPlace): Promise<void> {
  const table = quoteLedger(place);
  await connection.run(`create table ${table} (
  version bigint primary key,
  name text not null,
  checksum text not null,
  history text not null,
  state text not null check (state in ('applied', 'running', 'failed')),
  error text,
  statements_done integer not null default 0,
  lease_until timestamptz,
  breaking boolean not null default false,
  run_id uuid,
  started_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz,
  duration_ms bigint,
  applied_by text,
  tool_version text
);
comment on table ${table} is 'headgate ledger, layout ${integerLiteral(LEDGER_LAYOUT)}'`);
}
