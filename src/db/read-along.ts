/**
 * What the driver hears and does not tell: the key by which a statement can be cancelled, whether a
 * transaction is open, and a FATAL error, which it keeps for the end of an answer that never comes
 * and then says only that the connection is closed. A server that crashes or is shut down at once has
 * only a warning for its last words.
 */
import type { Socket } from "node:net";
import { DbError } from "../core/db-error.ts";
import { readServerWords } from "../core/server-words.ts";

/** Protocol section "Message Formats": a type byte, then the length of the rest, itself included. */
const HEADER_LENGTH = 5;
const ERROR_RESPONSE = "E".charCodeAt(0);
const NOTICE_RESPONSE = "N".charCodeAt(0);
const BACKEND_KEY_DATA = "K".charCodeAt(0);
const READY_FOR_QUERY = "Z".charCodeAt(0);
const HEARD: ReadonlySet<number> = new Set([
  ERROR_RESPONSE,
  NOTICE_RESPONSE,
  BACKEND_KEY_DATA,
  READY_FOR_QUERY,
]);
/** SQLSTATEs of a warning that is followed by the end: shut down, or another process crashed. */
const SHUTDOWN: ReadonlySet<string> = new Set(["57P01", "57P02"]);
/** ReadyForQuery's word for "no transaction is open". */
const IDLE = "I".charCodeAt(0);

const NOTHING: Buffer = Buffer.alloc(0);

/** Who is told. */
export interface Ears {
  /** The server's last words. */
  readonly onFatal: (error: DbError) => void;
  /** Process id and secret, as CancelRequest wants them back; a pooler gives its own. */
  readonly onKey: (key: Uint8Array) => void;
  /** An answer is complete. */
  readonly onReady: (isInTransaction: boolean) => void;
}

/** Must be called before the driver listens. */
export function readAlong(socket: Socket, ears: Ears): void {
  let held: Buffer = NOTHING;
  let skip = 0;
  let warning: DbError | undefined;
  const hear = (error: DbError): void => {
    if (isFatal(error)) ears.onFatal(error);
    else if (SHUTDOWN.has(error.server?.sqlState ?? "")) warning = error;
  };
  const endIt = (): void => {
    if (warning) ears.onFatal(warning);
  };
  socket.on("error", endIt).on("close", endIt);
  socket.on("data", (chunk: Buffer) => {
    const data = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    const end = readMessages(data, skip, (type, body) => tell({ type, body }, ears, hear));
    skip = Math.max(end - data.length, 0);
    held = end < data.length ? Buffer.from(data.subarray(end)) : NOTHING;
  });
}

interface Message {
  readonly type: number;
  readonly body: Buffer;
}

/** Gives out the whole messages in `data` that matter. @returns where what comes next begins: maybe behind its end */
function readMessages(
  data: Buffer,
  start: number,
  give: (type: number, body: Buffer) => void,
): number {
  let at = start;
  while (at + HEADER_LENGTH <= data.length) {
    const type = data[at] ?? 0;
    const end = at + 1 + data.readUInt32BE(at + 1);
    if (HEARD.has(type)) {
      if (end > data.length) break;
      give(type, data.subarray(at + HEADER_LENGTH, end));
    }
    at = end;
  }
  return at;
}

function tell({ type, body }: Message, ears: Ears, hear: (error: DbError) => void): void {
  if (type === READY_FOR_QUERY) ears.onReady(body[0] !== IDLE);
  if (type === BACKEND_KEY_DATA) ears.onKey(Uint8Array.from(body));
  if (type === ERROR_RESPONSE || type === NOTICE_RESPONSE) hear(toLost(body.toString("utf8")));
}

/** Another error leaves the connection open. */
function isFatal({ server }: DbError): boolean {
  return server?.severity === "FATAL" || server?.severity === "PANIC";
}

function toLost(body: string): DbError {
  const { message, server } = readServerWords(body);
  return new DbError("lost", message || "connection lost", { server });
}
