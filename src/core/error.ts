/**
 * The one error type. A code decides the exit status (`cli/exit-status.ts`), a message says
 * "Cannot <action>: <what is in the way>", a hint says the next step.
 */

/** What kind of failure it is. `cli/exit-status.ts` gives each one its status. */
export type ErrorCode =
  /** argv names no command, an unknown flag, or a value that is missing or malformed. */
  | "usage"
  /** A variable, flag or file of settings is wrong. */
  | "config-invalid"
  /** The migrations that were given cannot be used: names, encoding, duplicates, refused statements. */
  | "bundle-invalid"
  /** Pending migrations where none may be applied. */
  | "behind"
  /** A migration failed on the server; nothing of it stayed. */
  | "migration-failed"
  /** A ledger row is not finished and nobody works on it, or another command needs a person. */
  | "interrupted"
  /** An operator's command would touch what lives, or what is not there; nothing was done. */
  | "refused"
  /** The ledger and the bundle disagree on history. */
  | "drifted"
  /** The gate, or a lock that something behind it needs, was not acquired within its bound. */
  | "gate-timeout"
  /** The server cannot be reached, refuses the connection, or went away for good. */
  | "unreachable"
  /** The role lacks a privilege (SQLSTATE 42501). */
  | "privilege-missing"
  /** The database is ahead of the bundle under `--policy exact`. */
  | "ahead"
  /** Seeding failed; the migrations stay. */
  | "seed-failed"
  /** `--deadline` or the probe's `--timeout` passed. */
  | "deadline-passed"
  /** The signal of that name asked the process to stop. */
  | "sigint"
  | "sigterm"
  /** A defect in headgate. */
  | "unexpected";

/** What went wrong, to what, and the next step. Never holds a secret. */
export class HeadgateError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(
    message: string,
    options: { readonly code: ErrorCode; readonly hint?: string; readonly cause?: unknown },
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "HeadgateError";
    this.code = options.code;
    this.hint = options.hint;
  }
}
