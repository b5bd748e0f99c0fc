/**
 * The driver keeps a server's FATAL error for the end of an answer that never comes, and then says
 * only that the connection is closed. This reads along and hands out the server's last words. A
 * server that crashes or is shut down at once has only a warning for them.
 */
import type { Socket } from "node:net";
import { DbError } from "../core/db-error.ts";

/** Protocol section "Message Formats": a type byte, then the length of the rest, itself included. */
const HEADER_LENGTH = 5;
const ERROR_RESPONSE = "E".charCodeAt(0);
const NOTICE_RESPONSE = "N".charCodeAt(0);
/** SQLSTATEs of a warning that is followed by the end: shut down, or another process crashed. */
const SHUTDOWN: ReadonlySet<string> = new Set(["57P01", "57P02"]);

/** Must be called before the driver listens. */
export function watchFatal(socket: Socket, onFatal: (error: DbError) => void): void {
  let held: Uint8Array = new Uint8Array();
  let skip = 0;
  let warning: DbError | undefined;
  socket.on("close", () => {
    if (warning) onFatal(warning);
  });
  socket.on("data", (chunk: Uint8Array) => {
    const data = Buffer.concat([held, chunk]);
    const { errors, end } = readMessages(data, skip);
    skip = Math.max(end - data.length, 0);
    held = data.subarray(end);
    for (const error of errors.map(toLost)) {
      if (isFatal(error)) onFatal(error);
      else if (SHUTDOWN.has(error.server?.sqlState ?? "")) warning = error;
    }
  });
}

/** The bodies of the whole errors and notices in `data`, and where what comes next begins: maybe behind its end. */
function readMessages(
  data: Buffer,
  start: number,
): { readonly errors: readonly string[]; readonly end: number } {
  const errors: string[] = [];
  let at = start;
  while (at + HEADER_LENGTH <= data.length) {
    const end = at + 1 + data.readUInt32BE(at + 1);
    const isError = data[at] === ERROR_RESPONSE || data[at] === NOTICE_RESPONSE;
    if (isError && end > data.length) break;
    if (isError) errors.push(data.toString("utf8", at + HEADER_LENGTH, end));
    at = end;
  }
  return { errors, end: at };
}

/** Another error leaves the connection open. */
function isFatal({ server }: DbError): boolean {
  return server?.severity === "FATAL" || server?.severity === "PANIC";
}

function toLost(body: string): DbError {
  const fields = new Map(body.split("\0").map((field) => [field.charAt(0), field.slice(1)]));
  const server = {
    sqlState: fields.get("C") ?? "",
    severity: fields.get("V") ?? fields.get("S") ?? "",
    detail: fields.get("D"),
    hint: fields.get("H"),
    position: undefined,
    constraint: undefined,
  };
  return new DbError("lost", fields.get("M") ?? "connection lost", { server });
}
