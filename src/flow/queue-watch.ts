/**
 * While a statement runs outside a transaction, another client looks whether it queues for a
 * relation, and cancels it when that takes too long, because whoever comes later stands behind it.
 *
 * (1) Every look is a connection of its own, closed at once: it keeps no place in a small pool, and
 *     leaves no snapshot that the build would wait for. Where it finds no place, nothing is cancelled.
 * (2) A wait for old snapshots is shown and never cancelled: it blocks nobody.
 * (3) Cancelled is only what can be tried again: what may be repeated, or leaves nothing behind.
 */
import { cancelQueued, type LockWait, readLockWait } from "../db/blockers.ts";
import type { Connection, Fields } from "../ports.ts";
import type { World } from "./access.ts";
import { describeLockWait } from "./blocked.ts";

/** How long a statement may queue, and how it is watched. */
export interface Queue {
  readonly world: World;
  readonly runId: string;
  /** A new connection to where the statement runs. */
  readonly open: () => Connection;
  /** 0: no limit. */
  readonly lockTimeoutMs: number;
  /** False: it is only shown what the statement waits for. */
  readonly mayCancel: boolean;
  readonly lockWaitMs: number;
  /** Which statement, in every event. */
  readonly fields: Fields;
}

const LOOKS_PER_TIMEOUT = 3;
const LOOK_EVERY_MIN_MS = 100;
const LOOK_EVERY_MAX_MS = 1000;
const LOOK_DEADLINE_MS = 3000;
/** A statement that does not queue is looked at less and less often, down to this. */
const LOOK_GROWTH = 1.5;
const LONGEST_GAP_MS = 5000;
const REPORT_EVERY_MS = 10_000;

interface Watch {
  readonly queue: Queue;
  readonly sql: string;
  /** Until the next look at a statement that does not queue. */
  gapMs: number;
  dueMs: number;
  /** Since when it has been seen to queue for a relation. */
  queuedMs: number | undefined;
  /** The wait that was shown last, and when. */
  shown: string | undefined;
  shownMs: number;
  /** Set before the cancel is sent: the statement's error may be here before the answer is. */
  cancelledFor: LockWait | undefined;
  isStopped: boolean;
}

/** Watches one statement. @returns Ends the watch, and tells for which wait the statement was cancelled, if it was. */
export function watchQueue(queue: Queue, sql: string): () => Promise<LockWait | undefined> {
  const { clock } = queue.world;
  const everyMs = lookEveryMs(queue.lockTimeoutMs);
  const watch: Watch = {
    queue,
    sql,
    gapMs: everyMs,
    dueMs: 0,
    queuedMs: undefined,
    shown: undefined,
    shownMs: 0,
    cancelledFor: undefined,
    isStopped: false,
  };
  let looking: Promise<void> | undefined;
  const quiet = clock.every(everyMs, () => {
    if (looking || clock.nowMs() < watch.dueMs) return;
    looking = look(watch).finally(() => {
      looking = undefined;
    });
  });
  return async () => {
    watch.isStopped = true;
    quiet();
    if (watch.cancelledFor) await looking;
    return watch.cancelledFor;
  };
}

function lookEveryMs(lockTimeoutMs: number): number {
  if (lockTimeoutMs === 0) return LOOK_EVERY_MAX_MS;
  const share = lockTimeoutMs / LOOKS_PER_TIMEOUT;
  return Math.min(LOOK_EVERY_MAX_MS, Math.max(LOOK_EVERY_MIN_MS, share));
}

/** A look that fails is none: a pool without a place must not end the statement. */
async function look(watch: Watch): Promise<void> {
  const { queue, sql } = watch;
  const connection = queue.open();
  try {
    const sent = { runId: queue.runId, sql };
    const wait = await readLockWait(connection, sent, LOOK_DEADLINE_MS);
    if (watch.isStopped) return;
    show(watch, wait);
    if (wait?.kind !== "relation") lookLater(watch);
    if (!isOverdue(watch, wait)) return;
    const earlier = watch.cancelledFor;
    watch.cancelledFor = wait;
    if (!(await cancelQueued(connection, sent, LOOK_DEADLINE_MS))) watch.cancelledFor = earlier;
  } catch {
    lookLater(watch);
  } finally {
    await connection.close();
  }
}

/** Says what it waits for, at once and then every 10 s. */
function show(watch: Watch, wait: LockWait | undefined): void {
  const { world, fields } = watch.queue;
  const nowMs = world.clock.nowMs();
  const what = wait && `${wait.kind} ${wait.relation}`;
  const isNews = what !== watch.shown || nowMs - watch.shownMs >= REPORT_EVERY_MS;
  watch.shown = what;
  if (!wait || !isNews) return;
  watch.shownMs = nowMs;
  world.log("build.waiting", { ...fields, ...describeLockWait(wait).fields });
}

function lookLater(watch: Watch): void {
  watch.gapMs = Math.min(LONGEST_GAP_MS, watch.gapMs * LOOK_GROWTH);
  watch.dueMs = watch.queue.world.clock.nowMs() + watch.gapMs;
}

function isOverdue(watch: Watch, wait: LockWait | undefined): boolean {
  const { world, lockTimeoutMs, mayCancel } = watch.queue;
  if (wait?.kind !== "relation") {
    watch.queuedMs = undefined;
    return false;
  }
  const nowMs = world.clock.nowMs();
  watch.queuedMs ??= nowMs;
  return mayCancel && lockTimeoutMs > 0 && nowMs - watch.queuedMs >= lockTimeoutMs;
}
