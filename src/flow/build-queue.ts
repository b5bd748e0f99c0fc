/** A lock timeout for statements that run outside a transaction, where none can be set. */
import { DbError, QUERY_CANCELED, sqlStateOf } from "../core/db-error.ts";
import type { LockWait } from "../db/blockers.ts";
import { runBody } from "../db/body.ts";
import { readProgress } from "../db/build-index.ts";
import type { Connection } from "../ports.ts";
import { describeLockWait } from "./blocked.ts";
import { type Queue, watchQueue } from "./queue-watch.ts";
import { createWaiter } from "./wait.ts";

/** The statement was cancelled, by us, because it had queued for too long. */
export class QueueLeft extends DbError {
  readonly wait: LockWait;

  constructor(wait: LockWait, options: { readonly cause: unknown }) {
    super(
      "server",
      `headgate cancelled it, because it had waited too long for ${describeLockWait(wait).text}`,
      options,
    );
    this.wait = wait;
  }
}

/**
 * Sends one statement and watches it.
 *
 * @throws {QueueLeft} when we cancelled it; {DbError} as the server says
 */
export async function runInQueue(queue: Queue, connection: Connection, sql: string): Promise<void> {
  const stop = watchQueue(queue, sql);
  try {
    await runBody(connection, sql);
  } catch (error) {
    const wait = await stop();
    if (wait && sqlStateOf(error) === QUERY_CANCELED) throw new QueueLeft(wait, { cause: error });
    throw error;
  }
  // It got through just as it was cancelled: what comes for it must not hit the next statement.
  if (await stop()) await connection.run("select 1").catch(() => undefined);
}

/**
 * Does it again each time it left a queue, with growing pauses in between. Whoever is in the way may
 * be building an index: its progress is progress.
 *
 * @param act Its tries, from 0.
 * @throws {HeadgateError} `gate-timeout` after `--lock-wait`, its cause the last `QueueLeft`
 */
export async function againAfterQueue(
  queue: Queue,
  connection: Connection,
  act: (tries: number) => Promise<void>,
): Promise<void> {
  const { world, fields } = queue;
  const waiter = createWaiter(world, queue.lockWaitMs);
  let progress = "";
  for (let tries = 0; ; tries += 1) {
    try {
      return await act(tries);
    } catch (error) {
      if (!(error instanceof QueueLeft)) throw error;
      const blocked = { ...describeLockWait(error.wait), cause: error };
      await waiter.backOff(blocked, (pauseMs) =>
        world.log("build.retried", { ...fields, ...blocked.fields, pause_ms: pauseMs }),
      );
      const now = await readProgress(connection);
      if (now !== "" && now !== progress) waiter.progressed();
      progress = now;
    }
  }
}
