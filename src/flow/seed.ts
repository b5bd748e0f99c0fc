/**
 * Seeding: look without the gate; pass it only when something is missing. Rows of the gateway
 * first, then the files of `--seeds`.
 */
import { isConnectionTrouble } from "../core/db-error.ts";
import { HeadgateError } from "../core/error.ts";
import { describeTarget } from "../core/target.ts";
import { resolvePlace } from "../db/place.ts";
import type { Connection } from "../ports.ts";
import { type Access, connectReader, type World, withConnection } from "./access.ts";
import { CustomTask } from "./custom-task.ts";
import { throughGate } from "./gate-loop.ts";
import { seedError } from "./rbac-act.ts";
import { RbacTask } from "./rbac-task.ts";
import type { Seeding, SeedReport, SeedWork } from "./seeding.ts";
import type { Task } from "./step.ts";

/** What to seed, and how. */
export interface SeedJob {
  readonly seeding: Seeding;
  readonly work: SeedWork;
}

/**
 * Seeds, if the schema is there.
 *
 * @param opened A connection to the main target that is open already; it is closed here.
 * @throws {HeadgateError} `seed-failed`, `gate-timeout`, `unreachable`, and what `isReady` refuses with
 */
export async function seedDatabase(
  world: World,
  access: Access,
  { seeding, work }: SeedJob,
  opened?: Connection,
): Promise<SeedReport> {
  const rbac = new RbacTask(world, seeding, work);
  const custom = seeding.custom && new CustomTask(world, seeding.custom, work);
  const seeds: Seeds = { rbac, custom, work };
  const todo = await firstLook(world, access, seeds, opened);
  const wish = {
    lockWaitMs: work.lockWaitMs,
    foreignKey: work.lockId,
    reclaimAfterMs: work.reclaimAfterMs,
    runId: work.run.id,
    isLedgerless: !work.hasLedger,
  };
  const pass = <Plan>(task: Task<Plan>): Promise<unknown> => throughGate(world, access, wish, task);
  if (todo.rbac) await pass(rbac);
  if (custom && todo.custom) await pass(custom);
  if (access.direct && (todo.rbac || todo.custom)) await refuseSplitBrain(world, access, seeds);
  return { ...rbac.report(), files: custom?.files() ?? [] };
}

interface Seeds {
  readonly rbac: RbacTask;
  readonly custom: CustomTask | undefined;
  readonly work: SeedWork;
}

/** Which of the two has something to do. */
interface Todo {
  readonly rbac: boolean;
  readonly custom: boolean;
}

/** A connection that fails here is tried again by the gate's loop, which looks itself. */
async function firstLook(
  world: World,
  access: Access,
  seeds: Seeds,
  opened: Connection | undefined,
): Promise<Todo> {
  const connection = opened ?? connectReader(world, access, seeds.work.run.id);
  try {
    return await withConnection(connection, () => look(access, seeds, connection));
  } catch (error) {
    if (world.stop.aborted) throw world.stop.reason;
    if (!isConnectionTrouble(error)) throw seedError(error, "anything");
    world.log("peek.failed", { reason: (error as Error).message });
    return { rbac: true, custom: true };
  }
}

async function look(
  access: Access,
  { rbac, custom, work }: Seeds,
  connection: Connection,
): Promise<Todo> {
  const { searchPath } = access.main;
  const place = await resolvePlace(connection, access.ledger, searchPath);
  if (!(await work.isReady(connection, place))) return { rbac: false, custom: false };
  const todo = await rbac.look(connection, place, searchPath);
  const isDone = custom === undefined || (await custom.isDone(connection, place));
  return { rbac: todo !== undefined, custom: !isDone };
}

/** Two addresses that lead to two databases: the seeded one is not the one that pods will ask. */
async function refuseSplitBrain(world: World, access: Access, seeds: Seeds): Promise<void> {
  const { direct, main } = access;
  const connection = connectReader(world, access, seeds.work.run.id);
  const left = await withConnection(connection, () => look(access, seeds, connection));
  if (!direct || !(left.rbac || left.custom)) return;
  throw new HeadgateError(
    `Cannot see the seeds where the application looks: seeded ${describeTarget(direct)} (${direct.source}), but ${describeTarget(main)} (${main.source}) is not seeded`,
    {
      code: "seed-failed",
      hint: "Both addresses must lead to one database: correct one of the two variables",
    },
  );
}
