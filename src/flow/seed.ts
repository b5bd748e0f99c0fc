/**
 * `seed`, and the half of `up` behind its migrations: look without the gate; pass it only when
 * something is missing. Rows of the gateway first, then the files of `--seeds`.
 */

import { isConnectionTrouble } from "../core/db-error.ts";
import { notReadyError } from "../core/decide.ts";
import { HeadgateError } from "../core/error.ts";
import { isReady } from "../core/head.ts";
import type { Connection } from "../db/connection.ts";
import { resolvePlace } from "../db/place.ts";
import { type Access, type BundleSource, connect, type World, withConnection } from "./access.ts";
import { CustomTask } from "./custom-task.ts";
import { unreadableError } from "./db-trouble.ts";
import { type GateWish, throughGate } from "./gate-loop.ts";
import { seedError } from "./rbac-act.ts";
import { RbacTask } from "./rbac-task.ts";
import type { Seeding, SeedReport, SeedWork } from "./seeding.ts";
import { readableName, readHeadState, readTipState } from "./state.ts";
import type { Task } from "./step.ts";

/**
 * Seeds a database that is at head.
 *
 * @param opened A connection to the main target that is open already; it is closed here.
 * @throws {HeadgateError} `seed-failed`, `gate-timeout`, `unreachable`
 */
export async function seedAtHead(
  world: World,
  access: Access,
  job: { readonly seeding: Seeding; readonly work: SeedWork },
  opened?: Connection,
): Promise<SeedReport> {
  const { seeding, work } = job;
  const rbac = new RbacTask(world, seeding, work.head);
  const custom = seeding.custom && new CustomTask(world, seeding.custom, work.head);
  const connection = opened ?? connect(world, access, access.main, work.run.id);
  const look = { connection, rbac, custom };
  const todo = await withConnection(connection, () => firstLook(world, access, look));
  if (todo.rbac) await passThrough(world, access, work, rbac);
  if (custom && todo.custom) await passThrough(world, access, work, custom);
  return { ...rbac.report(), files: custom?.files() ?? [] };
}

interface Look {
  readonly connection: Connection;
  readonly rbac: RbacTask;
  readonly custom: CustomTask | undefined;
}

/** A connection that fails here is tried again by the gate's loop, which looks itself. */
async function firstLook(
  world: World,
  access: Access,
  { connection, rbac, custom }: Look,
): Promise<{ readonly rbac: boolean; readonly custom: boolean }> {
  const { searchPath } = access.main;
  try {
    const place = await resolvePlace(connection, access.ledger, searchPath);
    const todo = await rbac.look(connection, place, searchPath);
    const isDone = custom === undefined || (await custom.isDone(connection, place));
    return { rbac: todo !== undefined, custom: !isDone };
  } catch (error) {
    if (world.stop.aborted) throw world.stop.reason;
    if (!isConnectionTrouble(error)) throw seedError(error, "anything");
    world.log("peek.failed", { reason: (error as Error).message });
    return { rbac: true, custom: true };
  }
}

async function passThrough<Plan>(
  world: World,
  access: Access,
  work: SeedWork,
  task: Task<Plan>,
): Promise<void> {
  const wish: GateWish = {
    lockWaitMs: work.lockWaitMs,
    foreignKey: work.lockId,
    runId: work.run.id,
    isLedgerless: work.head === undefined,
  };
  await throughGate(world, access, wish, task);
}

/**
 * For `up`: the migrations are committed, so a failure has a status of its own, or is a warning.
 *
 * @throws {HeadgateError} `seed-failed`; what stops the process stays as it is
 */
export async function seedAfterUp(
  world: World,
  access: Access,
  job: { readonly seeding: Seeding; readonly work: SeedWork },
  opened?: Connection,
): Promise<SeedReport | undefined> {
  try {
    return await seedAtHead(world, access, job, opened);
  } catch (error) {
    if (world.stop.aborted) throw world.stop.reason;
    if (!(error instanceof HeadgateError)) throw error;
    if (job.seeding.onFailure === "fail") throw asSeedFailure(error);
    world.log("seed.failed", { reason: error.message, hint: error.hint });
    return undefined;
  }
}

function asSeedFailure(error: HeadgateError): HeadgateError {
  if (error.code === "seed-failed") return error;
  const options = { code: "seed-failed", cause: error } as const;
  return new HeadgateError(
    `Cannot seed, while the migrations are done: ${error.message}`,
    error.hint === undefined ? options : { ...options, hint: error.hint },
  );
}

/**
 * The command: the schema must be at head, unless no ledger is asked for.
 *
 * @throws {HeadgateError} as `seedAtHead`, and what `notReadyError` says of the schema
 */
export async function seed(
  world: World,
  access: Access,
  source: BundleSource,
  job: { readonly seeding: Seeding; readonly work: SeedWork },
): Promise<SeedReport> {
  if (!job.work.head) return seedAtHead(world, access, job);
  const connection = connect(world, access, access.main, job.work.run.id);
  const isAhead = await refuseUnready(world, access, source, connection).catch(
    async (error: unknown) => {
      await connection.close();
      throw error;
    },
  );
  if (!isAhead) return seedAtHead(world, access, job, connection);
  await connection.close();
  return skipped(world, "the database is ahead of this version");
}

/** For a database that is not this binary's to seed. */
export function skipped(world: World, reason: string): SeedReport {
  world.log("seed.skipped", { reason });
  return { changes: [], conflicts: [], password: undefined, files: [], skipped: reason };
}

/** True when it is ahead: a newer binary seeds. */
async function refuseUnready(
  world: World,
  access: Access,
  source: BundleSource,
  connection: Connection,
): Promise<boolean> {
  try {
    const name = await readableName(connection, access.main, access.ledger);
    const { state: tip } = await readTipState(connection, name, source.head);
    if (isReady(tip, "at-least")) return tip.kind === "ahead";
    const { state } = await readHeadState(connection, name, await source.load());
    if (state.kind === "at-head") return false;
    throw notReadyError(state, "at-least");
  } catch (error) {
    throw world.stop.aborted ? world.stop.reason : unreadableError(error, access.ledger);
  }
}
