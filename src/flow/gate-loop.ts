/**
 * Drives steps through the gate until a task has nothing left to do. One step is one transaction on
 * one connection; whatever breaks, the next step reads the ledger again and decides anew.
 */
import { type DbError, isConnectionTrouble, isContention } from "../core/db-error.ts";
import { HeadgateError } from "../core/error.ts";
import type { LedgerName, LedgerPlace } from "../core/ledger.ts";
import { type Access, connect, type World } from "./access.ts";
import { backOff } from "./back-off.ts";
import { gateError, isStatementPooling, unreachableError } from "./db-trouble.ts";
import { type HolderWatch, watchHolders } from "./holder-watch.ts";
import { describeObstacle, describeTrouble, type InTheWay, type Obstacle } from "./in-the-way.ts";
import { type GateSettings, openSession, type Session } from "./session.ts";
import { type StepOutcome, step, type Task } from "./step.ts";
import { createWaiter, type Waiter } from "./wait.ts";

/** How long to wait, and under which names. */
export interface GateWish extends GateSettings {
  readonly lockWaitMs: number;
  /** The run's token, in a comment before every statement. */
  readonly runId: string;
  /** How long a session-level holder must have been idle before it is ended; undefined: never. */
  readonly reclaimAfterMs?: number | undefined;
  /** Others are at work right now: wait for them before trying the lock. */
  readonly waitsFirst?: boolean | undefined;
}

/** Consecutive failures to get or keep a connection, about ten seconds in all. */
const RECONNECTS_MAX = 10;
const RECONNECT_FIRST_MS = 100;
const RECONNECT_LONGEST_MS = 2000;

/** How the task got through. */
export interface Passage {
  /** How long it waited for others, in milliseconds. */
  readonly waitedMs: number;
  /** False: others did all there was to do. */
  readonly hasActed: boolean;
}

/**
 * Runs a task to its end, step by step.
 *
 * @throws what the task refuses with, and `gate-timeout`, `unreachable`, `privilege-missing`
 */
export async function throughGate<Plan>(
  world: World,
  access: Access,
  wish: GateWish,
  task: Task<Plan>,
): Promise<Passage> {
  const loop: Loop<Plan> = {
    world,
    task,
    ledger: access.ledger,
    waiter: createWaiter(world, wish.lockWaitMs),
    watch: watchHolders(world, access, wish),
    open: () => {
      const connection = connect(world, access, access.direct ?? access.main, wish.runId);
      return openSession(connection, access, wish);
    },
    session: undefined,
    failures: 0,
    hasActed: false,
    waitsFirst: wish.waitsFirst === true,
    mark: -1,
  };
  try {
    while (!(await turn(loop)));
  } finally {
    await loop.session?.connection.close();
  }
  return { waitedMs: loop.waiter.waitedMs(), hasActed: loop.hasActed };
}

interface Loop<Plan> {
  readonly world: World;
  readonly task: Task<Plan>;
  readonly ledger: LedgerName;
  readonly waiter: Waiter;
  readonly watch: HolderWatch;
  readonly open: () => Session;
  session: Session | undefined;
  failures: number;
  /** Whether this run has had something to do inside the gate. */
  hasActed: boolean;
  waitsFirst: boolean;
  mark: number | string;
}

/** One try. True: the task is done. */
async function turn<Plan>(loop: Loop<Plan>): Promise<boolean> {
  try {
    loop.session ??= loop.open();
    const { session } = loop;
    const isDone = await tryStep(loop, session);
    if (isDone && loop.hasActed) {
      await loop.task.finish(session.connection, (await session.gate()).place);
    }
    return isDone;
  } catch (error) {
    if (loop.world.stop.aborted) throw asStop(loop.world.stop.reason, error);
    await recover(loop, error);
    return false;
  }
}

/** Whatever broke while the process stops, that is the reason, unless the error says it and more. */
function asStop(reason: unknown, error: unknown): unknown {
  const isSame = reason instanceof HeadgateError && error instanceof HeadgateError;
  return isSame && error.code === reason.code ? error : reason;
}

async function tryStep<Plan>(loop: Loop<Plan>, session: Session): Promise<boolean> {
  const outcome: StepOutcome<Plan> = loop.waitsFirst
    ? { kind: "busy" }
    : await step(session, loop.task, (place) => acting(loop, place));
  loop.waitsFirst = false;
  loop.failures = 0;
  if (outcome.kind === "stopped") return true;
  if (outcome.kind === "prepare") {
    await loop.task.prepare?.();
    return false;
  }
  if (outcome.kind === "done") {
    if (outcome.createdLedger) loop.world.log("ledger.created");
    loop.waiter.progressed();
    return false;
  }
  if (outcome.kind !== "outside") return waitForOthers(loop, session, outcome);
  const { place } = await session.gate();
  const end = await loop.task.outside?.(session, outcome.plan, () => acting(loop, place));
  if (end === "busy") return waitForOthers(loop, session, { kind: "building" });
  loop.waiter.progressed();
  return false;
}

/** Said once per run: the later steps are the same passage. */
function acting<Plan>(loop: Loop<Plan>, { schema, table }: LedgerPlace): void {
  if (loop.hasActed) return;
  loop.hasActed = true;
  const waitedMs = loop.waiter.waitedMs();
  loop.world.log("gate.acquired", { ledger: `${schema}.${table}`, waited_ms: waitedMs });
}

/** While others get on there is no use in trying the lock: only when they stand still. */
async function waitForOthers<Plan>(
  loop: Loop<Plan>,
  session: Session,
  outcome: Obstacle,
): Promise<boolean> {
  const { connection } = session;
  const describe = async (): Promise<InTheWay> =>
    describeObstacle(connection, await session.gate(), outcome);
  for (;;) {
    await loop.waiter.pause(describe, await loop.watch.look(session, outcome));
    const { isDone, mark } = await loop.task.peek(connection, await session.gate());
    if (isDone) return true;
    if (mark === loop.mark) return false;
    loop.mark = mark;
    loop.waiter.progressed();
  }
}

/** Decides whether another try may do better, and waits for it. @throws the error when not. */
async function recover<Plan>(loop: Loop<Plan>, error: unknown): Promise<void> {
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
  session?.connection.destroy(error);
  await session?.connection.close();
}
