/** A runner that did not get a lock gives way: to the lock's holder, and to those behind it. */
import type { DbError } from "../core/db-error.ts";
import { isGateFree } from "../db/gate.ts";
import type { World } from "./access.ts";
import { describeContention } from "./blocked.ts";
import type { Session } from "./session.ts";
import type { Task } from "./step.ts";
import type { Meanwhile, Waiter } from "./wait.ts";

/**
 * Names who was in the way, and pauses without the gate. Runners watch each other: were each to keep
 * time for itself, a fleet would try, and block the table's readers, all the time.
 *
 * @throws {HeadgateError} `gate-timeout` after `--lock-wait`
 */
export async function backOff<Plan>(
  world: World,
  waiter: Waiter,
  { session, task }: { readonly session: Session; readonly task: Task<Plan> },
  error: DbError,
): Promise<void> {
  const { connection } = session;
  const blocked = await describeContention(connection, error);
  const gate = await session.gate();
  const before = await task.peek(connection, gate).catch(() => undefined);
  const announce = (pauseMs: number): void =>
    world.log("step.retried", { ...blocked.fields, pause_ms: pauseMs });
  const look = async (): Promise<Meanwhile> => {
    const { isDone, mark } = await task.peek(connection, gate);
    if (isDone || (before && mark !== before.mark)) return "moved";
    return (await isGateFree(connection, gate)) ? "quiet" : "trying";
  };
  // A connection that is gone is the next step's business.
  const safely = (): Promise<Meanwhile> => look().catch(() => "quiet" as const);
  await waiter.backOff({ ...blocked, cause: error }, announce, safely);
}
