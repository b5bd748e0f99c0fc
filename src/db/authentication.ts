/**
 * The driver answers a request for a cleartext password whoever asks and whoever listens, and prints
 * a method that it does not know to the console. This looks at the server's first message before the
 * driver does, and ends the connection instead.
 */
import type { Socket } from "node:net";
import { DbError } from "../core/db-error.ts";

/** Protocol section "Message Formats": 'R', a length of 4 bytes, a code of 4 bytes. */
const REQUEST = "R".charCodeAt(0);
const REQUEST_LENGTH = 9;
const CODE_AT = 5;
const OK = 0;
const CLEARTEXT = 3;
const MD5 = 5;
const SASL = 10;
const KNOWN: ReadonlySet<number> = new Set([OK, CLEARTEXT, MD5, SASL]);

/** Must be called before the driver listens. */
export function watchAuthentication(
  socket: Socket,
  allowsCleartext: boolean,
  refuse: (error: DbError) => void,
): void {
  let head: Uint8Array = new Uint8Array();
  const look = (chunk: Uint8Array): void => {
    head = Buffer.concat([head, chunk]).subarray(0, REQUEST_LENGTH);
    if (head[0] === REQUEST && head.length < REQUEST_LENGTH) return;
    socket.off("data", look);
    const error = head[0] === REQUEST ? refusalOf(codeOf(head), allowsCleartext) : undefined;
    if (error) refuse(error);
  };
  socket.on("data", look);
}

function codeOf(head: Uint8Array): number {
  return new DataView(head.buffer, head.byteOffset).getUint32(CODE_AT);
}

function refusalOf(code: number, allowsCleartext: boolean): DbError | undefined {
  if (!KNOWN.has(code)) {
    return new DbError(
      "authentication",
      `the server asks for an authentication method that headgate does not have (code ${code}: GSSAPI, SSPI or another)`,
    );
  }
  if (code !== CLEARTEXT || allowsCleartext) return undefined;
  return new DbError(
    "cleartext",
    "the server asks for a cleartext password on an unencrypted connection",
  );
}
