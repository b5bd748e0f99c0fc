/**
 * The driver answers a request for a cleartext password whoever asks and whoever listens. This
 * looks at the server's first message before the driver does, and ends the connection instead.
 */
import type { Socket } from "node:net";
import { DbError } from "../core/db-error.ts";

/** AuthenticationCleartextPassword, protocol section "Message Formats": 'R', length 8, code 3. */
const REQUEST: readonly number[] = ["R".charCodeAt(0), 0, 0, 0, 8, 0, 0, 0, 3];

/** Must be called before the driver listens. */
export function refuseCleartext(socket: Socket, refuse: (error: DbError) => void): void {
  let seen = 0;
  const look = (chunk: Uint8Array): void => {
    for (const byte of chunk) {
      const isRequest = byte === REQUEST[seen];
      seen += 1;
      if (isRequest && seen < REQUEST.length) continue;
      socket.off("data", look);
      if (isRequest) refuse(cleartextError());
      return;
    }
  };
  socket.on("data", look);
}

function cleartextError(): DbError {
  return new DbError(
    "cleartext",
    "the server asks for a cleartext password on an unencrypted connection",
  );
}
