/**
 * What can go wrong between headgate and a server, as data. The driver's own errors never leave
 * `db/`; flows decide by `kind` and SQLSTATE, never by message text (it changes with lc_messages).
 */

/** Where it went wrong; decides whether another try may do better. */
export type DbErrorKind =
  /** The server answered with an SQLSTATE. */
  | "server"
  /** No connection was made: refused, no such host, TLS, not a PostgreSQL server. */
  | "connect"
  /** The connection was there and went away; whether the statement took effect is unknown. */
  | "lost"
  /** Our own deadline passed and the socket was destroyed; the effect is unknown. */
  | "deadline"
  /** The server asked for a cleartext password on a connection without TLS. */
  | "cleartext"
  /** The server asks for an authentication method that we do not have. */
  | "authentication";

/** The server's fields (protocol section "Error and Notice Message Fields"). */
export interface ServerFields {
  readonly sqlState: string;
  readonly severity: string;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
  /** 1-based position in the statement's text as it was sent, in code points. */
  readonly position: number | undefined;
  /** The constraint that was violated. */
  readonly constraint: string | undefined;
  /** What was sent, for finding out what it needed. Never shown: it may hold anything. */
  readonly text?: string | undefined;
}

/** The only error that `db/` throws for what a server or a network does. */
export class DbError extends Error {
  readonly kind: DbErrorKind;
  readonly server: ServerFields | undefined;

  constructor(
    kind: DbErrorKind,
    message: string,
    options: { server?: ServerFields; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "DbError";
    this.kind = kind;
    this.server = options.server;
  }

  /** The same error of a text that followed so many characters of ours. */
  after(length: number): DbError {
    const { position = 0, text } = this.server ?? {};
    if (!this.server) return this;
    return new DbError(this.kind, this.message, {
      cause: this.cause,
      server: {
        ...this.server,
        position: position > length ? position - length : undefined,
        text: text?.slice(length),
      },
    });
  }
}

/** SQLSTATE: no such table. */
export const UNDEFINED_TABLE = "42P01";
/** SQLSTATE: no such schema. */
export const INVALID_SCHEMA_NAME = "3F000";
/** SQLSTATE: the role may not. */
export const INSUFFICIENT_PRIVILEGE = "42501";
/** SQLSTATE class: disk full, out of memory, a configured limit. */
export const INSUFFICIENT_RESOURCES = "53";
/** SQLSTATE: duplicate key. */
export const UNIQUE_VIOLATION = "23505";
/** SQLSTATE: lock_timeout passed. */
const LOCK_NOT_AVAILABLE = "55P03";
/** SQLSTATE: no order of transactions explains what this one saw; nobody holds a lock. */
export const SERIALIZATION_FAILURE = "40001";
/** SQLSTATE: somebody cancelled the statement. */
export const QUERY_CANCELED = "57014";
/** SQLSTATE: this session may only read. */
export const READ_ONLY_TRANSACTION = "25006";
const DUPLICATE_SCHEMA = "42P06";
const DUPLICATE_TABLE = "42P07";

/** Losing a race for the ledger's creation; a defect anywhere else. */
export const CREATION_RACE: ReadonlySet<string> = new Set([
  UNIQUE_VIOLATION,
  DUPLICATE_SCHEMA,
  DUPLICATE_TABLE,
]);

/** Somebody else held what we needed: wait as for the gate. */
const CONTENTION: ReadonlySet<string> = new Set([
  LOCK_NOT_AVAILABLE,
  "40P01",
  SERIALIZATION_FAILURE,
]);

/** The server is there but cannot serve us yet: starting, stopping, full, or it ended our session. */
const UNAVAILABLE: ReadonlySet<string> = new Set([
  "57P01",
  "57P02",
  "57P03",
  "53300",
  "25P03",
  "25P04",
]);

/** The server's SQLSTATE; undefined when it was not the server that spoke. */
export function sqlStateOf(error: unknown): string | undefined {
  return error instanceof DbError ? error.server?.sqlState : undefined;
}

/** The same error as one that waiting cures: what was to be created is another session's. */
export function asContention(error: DbError): DbError {
  const server = error.server && { ...error.server, sqlState: LOCK_NOT_AVAILABLE };
  return new DbError("server", error.message, { cause: error, ...(server ? { server } : {}) });
}

/** True when the same transaction may succeed once others are done. */
export function isContention(error: unknown): boolean {
  return CONTENTION.has(sqlStateOf(error) ?? "");
}

/** True when a new connection may do better. */
export function isConnectionTrouble(error: unknown): boolean {
  if (!(error instanceof DbError)) return false;
  if (error.kind !== "server") return error.kind !== "cleartext" && error.kind !== "authentication";
  const state = sqlStateOf(error) ?? "";
  return UNAVAILABLE.has(state) || state.startsWith("08");
}

/** True when the connection itself is gone, so that nothing more can be said on it. */
export function endsConnection(error: unknown): boolean {
  if (!(error instanceof DbError)) return false;
  if (error.kind !== "server") return true;
  return error.server?.severity === "FATAL" || error.server?.severity === "PANIC";
}
