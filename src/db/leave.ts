/**
 * The way out of a session in the middle of its work. To drop the socket would do for us, but not for
 * the server: it looks at its clients only now and then, old ones never, and until then the statement
 * runs on with all its locks, and others find a run that is neither alive nor gone.
 */
import type { Socket } from "node:net";
import type { Sql } from "postgres";
import { endLife, type Life } from "./driver.ts";

/** Less than what a process that was told to stop has left. */
const LEAVE_MS = 1200;
const CANCEL_AGAIN_MS = 100;
const GOODBYE_S = 1;
/** Protocol section "CancelRequest": length 16, code 80877102, then the key. */
const CANCEL_REQUEST: readonly number[] = [0, 0, 0, 16, 0x04, 0xd2, 0x16, 0x2e];

/**
 * Cancels what runs, rolls back, says goodbye: all of it within a bound, else the socket is dropped.
 * Never rejects. The life must have its error by now, so that nothing more is asked.
 */
export async function leave(
  life: Life,
  sql: Sql,
  unanswered: ReadonlySet<Promise<unknown>>,
): Promise<void> {
  if (life.isInTransaction === undefined) {
    drop(life);
    return;
  }
  const timer = setTimeout(() => drop(life), LEAVE_MS);
  try {
    await cancelUntilAnswered(life, unanswered);
    // A pooler throws away the server connection of a client that leaves inside a transaction.
    if (life.isInTransaction) await sql.unsafe("rollback").simple();
    if (!life.isClosed) await sql.end({ timeout: GOODBYE_S });
  } catch {
    // Whoever does not answer now is not asked again.
  } finally {
    clearTimeout(timer);
    drop(life);
  }
}

function drop(life: Life): void {
  if (life.error) endLife(life, life.error);
}

/** Again and again: a server that has not begun the statement yet forgets that it is to be cancelled. */
async function cancelUntilAnswered(
  life: Life,
  unanswered: ReadonlySet<Promise<unknown>>,
): Promise<void> {
  let isAnswered = unanswered.size === 0;
  const answered = Promise.allSettled(unanswered).then(() => {
    isAnswered = true;
  });
  while (!isAnswered) {
    await cancel(life);
    await Promise.race([answered, pause(CANCEL_AGAIN_MS)]);
  }
}

/**
 * Resolves when the server has closed the line: it has passed the word on by then. Nothing is sent on
 * the session before, or a late cancel would hit the next statement, maybe another client's of a pooler.
 */
async function cancel({ cancelKey, openBeside }: Life): Promise<void> {
  if (!cancelKey || !openBeside) return;
  const socket = await openBeside(LEAVE_MS);
  socket.write(Uint8Array.from([...CANCEL_REQUEST, ...cancelKey]));
  await closed(socket);
}

function pause(durationMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, durationMs);
  });
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => socket.destroy(), LEAVE_MS);
    socket
      .on("error", () => undefined)
      .once("close", () => {
        clearTimeout(timer);
        resolve();
      });
    socket.resume();
  });
}
