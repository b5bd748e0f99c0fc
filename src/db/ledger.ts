/**
 * The ledger's SQL. Readers name columns and only read: no function here but `createLedger`,
 * `recordApplied`, `recordFailed` and `removeRow` writes, and no reader creates what it reads.
 */
import { INVALID_SCHEMA_NAME, sqlStateOf, UNDEFINED_TABLE } from "../core/db-error.ts";
import { integerLiteral, quoteLedger } from "../core/identifier.ts";
import type { Ledger, LedgerName, LedgerPlace, LedgerRow, Tip, TipRow } from "../core/ledger.ts";
import type { Connection, Result, Row } from "../ports.ts";
import { flagIn, momentIn, numberIn, orNull, textIn, wordIn } from "./columns.ts";

/** The layout's number; it stands in the table's comment, so that a person can look it up. */
export const LEDGER_LAYOUT = 1;

const COLUMNS = `version, name, checksum, history, state, error, statements_done, breaking, run_id::text as run_id,
  coalesce(lease_until > clock_timestamp(), false) as alive,
  coalesce(finished_at > clock_timestamp() - interval '1 second', false) as is_recent,
  started_at, finished_at, duration_ms, applied_by, tool_version`;

/** What the end of the ledger is judged by. */
const TIP_COLUMNS = `version, name, history, state, breaking, run_id::text as run_id,
  coalesce(lease_until > clock_timestamp(), false) as alive,
  coalesce(finished_at > clock_timestamp() - interval '1 second', false) as is_recent`;

/**
 * All rows, ascending by version. A missing table is an answer, outside a transaction.
 *
 * @throws {DbError} as the server says; a table of another shape is 42703 or a `ShapeError`.
 */
export async function readLedger(
  connection: Connection,
  ledger: LedgerName | LedgerPlace,
): Promise<Ledger> {
  const rows = await rowsOrAbsent(
    connection.run(`select ${COLUMNS} from ${quoteLedger(ledger)} order by version`),
  );
  return rows ? { kind: "present", rows: rows.map(toLedgerRow) } : { kind: "absent" };
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
  const found = await rowsOrAbsent(
    connection.run(`select ${TIP_COLUMNS} from ${table} where version >= ${head}
  union all
  (select ${TIP_COLUMNS} from ${table} where version < ${head} order by version desc limit 1)
order by version`),
  );
  if (!found) return { kind: "absent" };
  const rows = found.map(toTipRow);
  return {
    kind: "present",
    head: rows.find((row) => row.version === headVersion),
    above: rows.filter((row) => row.version > headVersion),
    below: rows.find((row) => row.version < headVersion),
  };
}

async function rowsOrAbsent(pending: Promise<Result>): Promise<readonly Row[] | undefined> {
  try {
    return (await pending).rows;
  } catch (error) {
    const state = sqlStateOf(error);
    if (state === UNDEFINED_TABLE || state === INVALID_SCHEMA_NAME) return undefined;
    throw error;
  }
}

function toTipRow(row: Row): TipRow {
  return {
    version: numberIn(row, "version"),
    name: textIn(row, "name"),
    history: textIn(row, "history"),
    state: wordIn(row, "state", ["applied", "running", "failed"]),
    breaking: flagIn(row, "breaking"),
    runId: orNull(row, "run_id", textIn),
    alive: flagIn(row, "alive"),
    isRecent: flagIn(row, "is_recent"),
  };
}

function toLedgerRow(row: Row): LedgerRow {
  return {
    ...toTipRow(row),
    checksum: textIn(row, "checksum"),
    error: orNull(row, "error", textIn),
    statementsDone: numberIn(row, "statements_done"),
    startedAt: orNull(row, "started_at", momentIn),
    finishedAt: orNull(row, "finished_at", momentIn),
    durationMs: orNull(row, "duration_ms", numberIn),
    appliedBy: orNull(row, "applied_by", textIn),
    toolVersion: orNull(row, "tool_version", textIn),
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
