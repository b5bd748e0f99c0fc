/** What a server says of an error or a notice (protocol section "Error and Notice Message Fields"). */
import type { ServerFields } from "./db-error.ts";

/** A message and the fields beside it. */
export interface ServerWords {
  readonly message: string;
  readonly server: ServerFields;
}

/**
 * Reads a message's body: a letter and a text for each field, ended by zero bytes.
 *
 * @example
 * ```ts
 * readServerWords("VFATAL\0C57P01\0Mterminating\0\0").server.sqlState; // "57P01"
 * ```
 */
export function readServerWords(body: string): ServerWords {
  const fields = new Map(body.split("\0").map((field) => [field.charAt(0), field.slice(1)]));
  const position = Number(fields.get("P"));
  return {
    message: fields.get("M") ?? "",
    server: {
      sqlState: fields.get("C") ?? "",
      severity: fields.get("V") ?? fields.get("S") ?? "ERROR",
      detail: fields.get("D"),
      hint: fields.get("H"),
      position: position > 0 ? position : undefined,
      constraint: fields.get("n"),
    },
  };
}
