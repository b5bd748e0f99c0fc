/**
 * `up`: look without the gate; if something is pending, look again inside it and apply. Both looks
 * use the same pure functions, and whoever finds head reached leaves without having locked anything.
 */
import { decideUp, notReadyError, type UpDecision } from "../core/decide.ts";
import { HeadgateError } from "../core/error.ts";
import { isReady, type Policy } from "../core/head.ts";
import type { Migration, NonEmpty } from "../core/migration.ts";
import { refuseUnrunnable } from "../core/runnable.ts";
import type { Connection } from "../db/connection.ts";
import type { Run } from "../db/record.ts";
import { type Access, type BundleSource, connect, type World, withConnection } from "./access.ts";
import { type Applied, BodyCommitted } from "./apply.ts";
import { unreadableError } from "./db-trouble.ts";
import { type GateWish, throughGate } from "./gate-loop.ts";
import { leaveFailedRow } from "./leave-failed-row.ts";
import { readableName, readHeadState, readTipState } from "./state.ts";
import { type UpRequest, upTask } from "./up-task.ts";

export interface UpReport {
  /** `fast`: nothing was left to do, at the first look or after a wait. */
  readonly path: "fast" | "slow" | "skipped";
  /** What this run applied, in order. */
  readonly applied: readonly Applied[];
  /** The bundle's last version, or the one that `--to` named. */
  readonly head: number;
  readonly waitedMs: number;
}

/**
 * Writes and locks only when something is pending.
 *
 * @throws {HeadgateError} every code that `decideUp` refuses with, `gate-timeout`, `unreachable`,
 *   `migration-failed`, `bundle-invalid`, `privilege-missing`.
 */
export async function up(
  world: World,
  access: Access,
  source: BundleSource,
  work: { readonly request: UpRequest; readonly run: Run },
): Promise<UpReport> {
  const { request } = work;
  const report = { applied: [], head: request.to ?? source.head.version, waitedMs: 0 };
  if (request.isVerifyOnly) {
    await verify(world, access, source, request.policy);
    return { ...report, path: "skipped" };
  }
  if (await isDoneWithoutGate(world, access, source, request)) return { ...report, path: "fast" };
  return { ...report, ...(await slowPath(world, access, await source.load(), work)) };
}

async function slowPath(
  world: World,
  access: Access,
  bundle: NonEmpty<Migration>,
  work: { readonly request: UpRequest; readonly run: Run },
): Promise<Omit<UpReport, "head">> {
  const { request, run } = work;
  const wish: GateWish = {
    lockWaitMs: request.lockWaitMs,
    foreignKey: request.lockId,
    runId: run.id,
  };
  const task = upTask(world, access, bundle, work);
  try {
    const { waitedMs, hasActed } = await throughGate(world, access, wish, task);
    return { path: hasActed ? "slow" : "fast", applied: task.applied(), waitedMs };
  } catch (error) {
    if (error instanceof BodyCommitted)
      throw await leaveFailedRow(world, access, wish, { run, error });
    throw error;
  }
}

/** Somebody else migrates: head must be there, and nothing is written. */
async function verify(
  world: World,
  access: Access,
  source: BundleSource,
  policy: Policy,
): Promise<void> {
  const connection = connect(world, access, access.main);
  const state = await withConnection(connection, async () => {
    const name = await readableName(connection, access.main, access.ledger);
    return (await readHeadState(connection, name, await source.load())).state;
  }).catch((error: unknown) => {
    throw world.stop.aborted ? world.stop.reason : unreadableError(error, access.ledger);
  });
  if (state.kind !== "at-head" && !isReady(state, policy)) throw notReadyError(state, policy);
  world.log("migrations.verified");
}

/** The first look. A ledger that cannot be read is for the slow path to settle. */
async function isDoneWithoutGate(
  world: World,
  access: Access,
  source: BundleSource,
  request: UpRequest,
): Promise<boolean> {
  const connection = connect(world, access, access.main);
  const decision = await withConnection(connection, () =>
    look(connection, access, source, request),
  ).catch((error: unknown) => {
    if (world.stop.aborted) throw world.stop.reason;
    if (error instanceof HeadgateError) throw error;
    world.log("peek.failed", { reason: (error as Error).message });
    return undefined;
  });
  if (decision?.kind === "refuse") throw decision.error;
  if (decision?.kind === "apply") refuseUnrunnable(decision.pending, "up");
  if (decision?.kind === "nothing") world.log("schema.at-head");
  return decision?.kind === "nothing";
}

/** The end of the ledger first; the whole of it only when the end does not say "nothing to do". */
async function look(
  connection: Connection,
  access: Access,
  source: BundleSource,
  request: UpRequest,
): Promise<UpDecision> {
  const name = await readableName(connection, access.main, access.ledger);
  const { state } = await readTipState(connection, name, source.head);
  if (isReady(state, request.policy)) return { kind: "nothing" };
  const { state: whole } = await readHeadState(connection, name, await source.load());
  return decideUp(whole, request);
}
