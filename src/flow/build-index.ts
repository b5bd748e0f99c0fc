/**
 * Statements that may be repeated: each looks at what is there before it runs. An index that is
 * valid is taken as it is, one that somebody builds is waited for, and an invalid one that nobody
 * builds is dropped first: a plain repetition would fail, and IF NOT EXISTS would leave it there.
 */
import type { BuildStatement, BuildStep } from "../core/build-step.ts";
import { DbError } from "../core/db-error.ts";
import { isSameIndexBody } from "../core/index-definition.ts";
import {
  type Builder,
  cancelBuilder,
  dropIndexText,
  hasIndex,
  type IndexState,
  readBuilders,
  readIndex,
  readReindexLeftovers,
} from "../db/build-index.ts";
import type { Connection } from "../ports.ts";
import type { World } from "./access.ts";
import { runInQueue } from "./build-queue.ts";
import type { InTheWay } from "./in-the-way.ts";
import type { Queue } from "./queue-watch.ts";
import { createWaiter } from "./wait.ts";

/** One statement, and how its repetition is to be made safe. */
export interface StepWork {
  readonly world: World;
  readonly connection: Connection;
  readonly statement: BuildStatement;
  /** An earlier runner may have begun it. */
  readonly isRepeated: boolean;
  readonly lockWaitMs: number;
  readonly queue: Queue;
  /** Cancel a builder of a run that is gone instead of waiting for it. */
  readonly cancelsOrphans: boolean;
}

type CreateIndex = Extract<BuildStep, { readonly kind: "create-index" }>;
/** A statement that was let through names its index. */
type Wanted = CreateIndex & { readonly index: string };

/**
 * Runs one statement.
 *
 * @throws {DbError} as the server says; {QueueLeft}; {HeadgateError} `gate-timeout`
 */
export async function runStatement(work: StepWork): Promise<void> {
  const { connection, statement, isRepeated } = work;
  const { step } = statement;
  if (step.kind === "create-index" && step.index !== undefined) {
    return createIndex(work, { ...step, index: step.index });
  }
  if (step.kind === "drop-index" && isRepeated && !(await hasIndex(connection, step.index))) return;
  if (step.kind === "reindex" && isRepeated) await clearReindex(work, step.relation);
  await runInQueue(work.queue, connection, statement.sql);
}

async function createIndex(work: StepWork, wanted: Wanted): Promise<void> {
  const { world, connection, statement } = work;
  const before = await settledIndex(work, wanted);
  if (before && isOurs(work, before)) {
    world.log("index.adopted", { index: before.name, definition: before.definition });
    return;
  }
  if (before?.isAsAsked && !before.isUsable) await dropInvalid(work, before);
  await runInQueue(work.queue, connection, statement.sql);
  const after = await readIndex(connection, wanted);
  if (after?.isUsable) return;
  throw new DbError("server", `the index ${wanted.index} was built and is not valid`);
}

/**
 * A valid index that an earlier run of this statement made, or that somebody made by hand as the
 * statement says. Any other one stays, and the server refuses the statement because of its name.
 */
function isOurs({ isRepeated, statement }: StepWork, index: IndexState): boolean {
  if (!index.isAsAsked || !index.isUsable) return false;
  return isRepeated || isSameIndexBody(statement.sql, index.definition);
}

/** The index once nobody builds on its table, or as soon as it is valid. */
async function settledIndex(work: StepWork, wanted: Wanted): Promise<IndexState | undefined> {
  const waiter = createWaiter(work.world, work.lockWaitMs);
  let progress = "";
  for (;;) {
    const seen = await readIndex(work.connection, wanted);
    if (!seen?.isAsAsked || seen.isUsable) return seen;
    const [builder] = await readBuilders(work.connection, wanted.table);
    if (!builder) return readIndex(work.connection, wanted);
    await endOrphan(work, builder);
    const now = JSON.stringify(builder);
    if (now !== progress) waiter.progressed();
    progress = now;
    await waiter.pause(async () => describeBuilder(builder, wanted.index));
  }
}

/** The run's lock is ours: a run of this ledger has no other sign of life; one of another ledger may. */
async function endOrphan(work: StepWork, { pid, isOrphan }: Builder): Promise<void> {
  if (!work.cancelsOrphans || !isOrphan) return;
  if (await cancelBuilder(work.connection, pid)) work.world.log("build.cancelled", { pid });
}

function describeBuilder(builder: Builder, index: string): InTheWay {
  const { pid, phase, blocksDone, blocksTotal } = builder;
  return {
    text: `pid ${pid} builds index ${index} (${phase ?? "phase hidden"})`,
    fields: { index, holder_pid: pid, phase, blocks_done: blocksDone, blocks_total: blocksTotal },
  };
}

async function dropInvalid(work: StepWork, index: IndexState): Promise<void> {
  work.world.log("index.dropped", { index: index.name, definition: index.definition });
  await runInQueue(work.queue, work.connection, dropIndexText(index));
}

/** An interrupted REINDEX CONCURRENTLY leaves `…_ccnew` or `…_ccold` behind, and can begin anew. */
async function clearReindex(work: StepWork, relation: string): Promise<void> {
  const waiter = createWaiter(work.world, work.lockWaitMs);
  for (;;) {
    const [builder] = await readBuilders(work.connection, relation);
    if (!builder) break;
    await endOrphan(work, builder);
    await waiter.pause(async () => describeBuilder(builder, relation));
  }
  for (const index of await readReindexLeftovers(work.connection, relation)) {
    await dropInvalid(work, index);
  }
}
