/** The half of `up` that passes the gate. Loaded only when something is pending. */
import type { Access, BundleSource, World } from "./access.ts";
import { type Applied, BodyCommitted } from "./apply.ts";
import { type GateWish, throughGate } from "./gate-loop.ts";
import { leaveFailedRow } from "./leave-failed-row.ts";
import { upTask, type Work } from "./up-task.ts";

/** How a run ended that did not find head at its first look. */
export interface SlowPath {
  /** `fast`: others did it all while this run waited. */
  readonly path: "fast" | "slow";
  readonly applied: readonly Applied[];
  readonly waitedMs: number;
}

/**
 * Waits, applies what is pending, and says what it applied.
 *
 * @throws {HeadgateError} as `up`
 */
export async function slowPath(
  world: World,
  access: Access,
  source: BundleSource,
  work: Work & Pick<GateWish, "lobby">,
): Promise<SlowPath> {
  const { request, run, lobby } = work;
  const wish: GateWish = {
    lockWaitMs: request.lockWaitMs,
    foreignKey: request.lockId,
    reclaimAfterMs: request.reclaimAfterMs,
    runId: run.id,
  };
  const task = upTask(world, access, source, work);
  try {
    const passage = await throughGate(world, access, { ...wish, lobby }, task);
    const path = passage.hasActed ? "slow" : "fast";
    return { path, applied: task.applied(), waitedMs: passage.waitedMs };
  } catch (error) {
    if (!(error instanceof BodyCommitted)) throw error;
    throw await leaveFailedRow(world, access, wish, { run, error, found: "absent" });
  }
}
