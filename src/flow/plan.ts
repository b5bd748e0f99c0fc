/** `plan`: what `up` would do, as SQL. Takes no lock; by the time `up` runs it may be less. */
import { decideUp, type UpWish } from "../core/decide.ts";
import type { Migration, NonEmpty } from "../core/migration.ts";
import { refuseUnrunnable } from "../core/runnable.ts";
import { type Access, connect, type World, withConnection } from "./access.ts";
import { unreadableError } from "./db-trouble.ts";
import { readableName, readHeadState } from "./state.ts";

/** What `up` would do now. */
export interface PlanReport {
  /** Ascending by version; empty when nothing is to do. */
  readonly pending: readonly Migration[];
  /** True when `up` would wait for a migration that another runner is building. */
  readonly waits: boolean;
}

/**
 * Reads the whole ledger and decides as `up` would.
 *
 * @throws {HeadgateError} whatever `up` would refuse with.
 */
export async function plan(
  world: World,
  access: Access,
  bundle: NonEmpty<Migration>,
  wish: UpWish,
): Promise<PlanReport> {
  const connection = connect(world, access, access.main);
  const { state } = await withConnection(connection, async () =>
    readHeadState(connection, await readableName(connection, access.main, access.ledger), bundle),
  ).catch((error: unknown) => {
    throw world.stop.aborted ? world.stop.reason : unreadableError(error, access.ledger);
  });
  const decision = decideUp(state, wish);
  if (decision.kind === "refuse") throw decision.error;
  if (decision.kind !== "apply") return { pending: [], waits: decision.kind === "wait" };
  refuseUnrunnable(decision.pending, "up");
  return { pending: decision.pending, waits: false };
}
