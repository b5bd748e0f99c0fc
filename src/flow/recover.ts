/** After an error: another try, on another connection if need be, or the end. */
import { type DbError, isConnectionTrouble, isContention } from "../core/db-error.ts";
import { backOff } from "./back-off.ts";
import { gateError, isStatementPooling, unreachableError } from "./db-trouble.ts";
import type { Loop } from "./gate-loop.ts";
import { describeTrouble } from "./in-the-way.ts";

/** Consecutive failures to get or keep a connection, about ten seconds in all. */
const RECONNECTS_MAX = 10;
const RECONNECT_FIRST_MS = 100;
const RECONNECT_LONGEST_MS = 2000;

/** Decides whether another try may do better, and waits for it. @throws the error when not. */
export async function recover<Plan>(loop: Loop<Plan>, error: unknown): Promise<void> {
  const { world, session, task } = loop;
  if (isContention(error) && session)
    return backOff(world, loop.waiter, { session, task }, error as DbError);
  if (!isConnectionTrouble(error) || isStatementPooling(error)) throw gateError(error, loop.ledger);
  await dropSession(loop, error as Error);
  loop.failures += 1;
  const { kind } = error as DbError;
  // One that takes a question and says nothing is there too, maybe behind a pool that others fill.
  const isServerThere = kind === "server" || kind === "deadline";
  if (!isServerThere && loop.failures > RECONNECTS_MAX) throw unreachableError(error as DbError);
  world.log("connection.lost", { try: loop.failures, reason: (error as Error).message });
  if (isServerThere) {
    return loop.waiter
      .pause(async () => describeTrouble(error as DbError))
      .catch((stop: unknown) => {
        throw world.stop.aborted ? stop : unreachableError(error as DbError);
      });
  }
  const pauseMs = Math.min(RECONNECT_LONGEST_MS, RECONNECT_FIRST_MS * 1.6 ** loop.failures);
  await world.clock.sleep(pauseMs * (0.5 + world.random()));
}

/** Never reuse a connection after trouble: what is open on it is unknown. */
async function dropSession<Plan>(loop: Loop<Plan>, error: Error): Promise<void> {
  const { session } = loop;
  loop.session = undefined;
  loop.lobby = undefined;
  session?.connection.destroy(error);
  await session?.connection.close();
}
