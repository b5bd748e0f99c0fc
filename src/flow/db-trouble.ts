/** What the database said, as an error for a person: exit status and next step. */
import {
  type DbError,
  endsConnection,
  INSUFFICIENT_PRIVILEGE,
  sqlStateOf,
} from "../core/db-error.ts";
import { HeadgateError } from "../core/error.ts";
import { quoteLedger } from "../core/identifier.ts";
import type { LedgerName } from "../core/ledger.ts";

/** For a server that cannot be reached or refuses us. */
export function unreachableError(error: DbError): HeadgateError {
  return new HeadgateError(`Cannot reach the database: ${withState(error)}`, {
    code: "unreachable",
    hint: hintFor(error),
    cause: error,
  });
}

/** For reading: what a person must do so that the ledger can be read. */
export function unreadableError(error: unknown, ledger: LedgerName): HeadgateError {
  if (error instanceof HeadgateError) return error;
  const name = quoteLedger(ledger);
  if (isDbError(error) && endsConnection(error)) return unreachableError(error);
  if (sqlStateOf(error) === INSUFFICIENT_PRIVILEGE) {
    return new HeadgateError(`Cannot read the ledger ${name}: ${withState(error as DbError)}`, {
      code: "privilege-missing",
      hint: `Grant it: grant select on ${name} to the role, and usage on its schema`,
      cause: error,
    });
  }
  if (isDbError(error) && !isOfAnotherShape(error)) return unusableError(error, name);
  return shapeError(error as Error, name);
}

/** For the gate: what our own statements met, as opposed to a migration's. */
export function gateError(error: unknown, ledger: LedgerName): Error {
  const name = quoteLedger(ledger);
  if (isOfAnotherShape(error)) return shapeError(error, name);
  if (!isDbError(error)) return error instanceof Error ? error : new Error(String(error));
  if (isStatementPooling(error)) return statementPoolingError(error);
  if (endsConnection(error)) return unreachableError(error);
  if (sqlStateOf(error) !== INSUFFICIENT_PRIVILEGE) return unusableError(error, name);
  return new HeadgateError(`Cannot use the ledger ${name}: ${withState(error)}`, {
    code: "privilege-missing",
    hint: `Grant it: grant select, insert, update, delete on ${name} to the role`,
    cause: error,
  });
}

/** The server is there, and does not do what the ledger needs. */
function unusableError(error: DbError, name: string): HeadgateError {
  return new HeadgateError(`Cannot use the ledger ${name}: ${withState(error)}`, {
    code: "unreachable",
    hint: hintFor(error),
    cause: error,
  });
}

/** PgBouncer's words, which it does not translate; the SQLSTATE is the one of any protocol error. */
const STATEMENT_POOLING = "statement pooling";

/** True when no further try can help: this pooler never allows a transaction. */
export function isStatementPooling(error: unknown): error is DbError {
  return isDbError(error) && error.message.includes(STATEMENT_POOLING);
}

function statementPoolingError(error: DbError): HeadgateError {
  return new HeadgateError(
    "Cannot migrate through this pooler: it pools statements, which allows no transaction",
    {
      code: "config-invalid",
      hint: "Give MIGRATION_DATABASE_URL an address past the pooler, or use pool_mode = transaction; probe and the fast path work as they are",
      cause: error,
    },
  );
}

/** A table of that name which is no ledger, or one of a newer layout. */
function shapeError(error: Error, name: string): HeadgateError {
  return new HeadgateError(
    `Cannot read the ledger ${name}: it has another shape (${error.message})`,
    {
      code: "unreachable",
      hint: "Name the right table with --ledger, or use the headgate version that wrote it",
      cause: error,
    },
  );
}

/** Our statements fit our table, so what else class 42 or the rows' schema objects to is the table. */
function isOfAnotherShape(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  const sqlState = sqlStateOf(error) ?? "";
  const isMisfit = sqlState.startsWith("42") && sqlState !== INSUFFICIENT_PRIVILEGE;
  return isMisfit || error.name === "ShapeError" || error.name === "ValiError";
}

function isDbError(error: unknown): error is DbError {
  return error instanceof Error && error.name === "DbError";
}

/** The server's words with their SQLSTATE, where it was the server that spoke. */
export function withState(error: DbError): string {
  const state = error.server?.sqlState;
  return state === undefined ? error.message : `${error.message} (SQLSTATE ${state})`;
}

const HINTS: Readonly<Record<string, string>> = {
  "28P01": "Check user and password; special characters may stand raw or percent-encoded",
  "28000":
    "Check user, database and the server's pg_hba.conf, and whether it demands TLS (sslmode)",
  "3D000": "Check the database's name, or create it",
  "25006":
    "The server is a standby, or role or database is read-only (default_transaction_read_only): name the primary, or a role that may write",
  "42501": "Let the role in: grant connect on database … to the role",
  "53100": "The server's disk is full: free space there, and run again",
  "53300": "The server has no connection left: raise max_connections or use a pooler",
  "57014":
    "The role's own statement_timeout, or an operator, ended a question of ours: alter role … set statement_timeout = 0, or let another role migrate",
  "57P03": "The server is starting or stopping: try again",
};

/** Our own words, from `db/socket.ts`. */
const NO_TLS = "the server does not offer TLS";

/** PgBouncer's words; their SQLSTATE is the one of any protocol error. */
const POOLER_FULL = "max_client_conn";

function hintFor(error: DbError): string {
  if (error.kind === "cleartext")
    return "Use TLS (sslmode=require or better), or --allow-cleartext";
  if (error.kind === "authentication") {
    return "Let this role log in with scram-sha-256, md5 or a certificate in pg_hba.conf";
  }
  if (error.message.includes(NO_TLS))
    return "Turn TLS on at the server, or ask for less: sslmode=prefer";
  if (error.kind === "deadline") {
    return "The server, or a pooler before it, took the question and says nothing: look for a pool that others fill or that is paused (SHOW POOLS, cl_waiting), and for a server that hangs";
  }
  if (error.message.includes(POOLER_FULL)) {
    return "The pooler lets no further client in: raise max_client_conn, or let fewer clients stay connected";
  }
  const known = HINTS[error.server?.sqlState ?? ""];
  if (known !== undefined) return known;
  return "Check host, port, DNS and network policy, and that the server runs";
}
