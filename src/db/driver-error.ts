/** Turns what the driver throws into a `DbError`. */
import { DbError, type DbErrorKind, type ServerFields } from "../core/db-error.ts";

/**
 * What our own code threw stays as it is.
 *
 * @param prefixLength How many characters of ours stood before the caller's text.
 */
export function toDbError(error: unknown, prefixLength: number): Error {
  if (error instanceof DbError) return error;
  if (!(error instanceof Error)) return new DbError("lost", String(error));
  const fields = error as Error & DriverFields;
  // Not by the class's name: minifying changes it.
  if (fields.severity_local !== undefined) {
    return new DbError("server", error.message, { server: serverFields(fields, prefixLength) });
  }
  return new DbError(kindOf(fields.code), reasonOf(error), { cause: error });
}

interface DriverFields {
  readonly code?: string;
  readonly severity?: string;
  readonly severity_local?: string;
  readonly detail?: string;
  readonly hint?: string;
  readonly position?: string;
  readonly constraint_name?: string;
  /** Added by the driver. */
  readonly query?: string;
}

function serverFields(fields: DriverFields, prefixLength: number): ServerFields {
  const position = Number(fields.position);
  return {
    sqlState: fields.code ?? "",
    severity: fields.severity ?? fields.severity_local ?? "ERROR",
    detail: fields.detail,
    hint: fields.hint,
    position: position > prefixLength ? position - prefixLength : undefined,
    constraint: fields.constraint_name,
    text: fields.query?.slice(prefixLength),
  };
}

/** The driver's own codes; whatever else breaks on an open connection leaves its effect unknown. */
function kindOf(code: string | undefined): DbErrorKind {
  return code === "SASL_SIGNATURE_MISMATCH" || code === "AUTH_TYPE_NOT_IMPLEMENTED"
    ? "connect"
    : "lost";
}

function reasonOf(error: Error): string {
  return error.message === "" ? "connection lost" : error.message;
}
