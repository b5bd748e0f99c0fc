/**
 * Drives steps through the gate until a task has nothing left to do. One step is one transaction on
 * one connection; whatever breaks, the next step reads the ledger again and decides anew.
 */
import { HeadgateError } from "../core/error.ts";
import type { LedgerName, LedgerPlace } from "../core/ledger.ts";
import { type Gate, isGateFree } from "../db/gate.ts";
import type { Connection } from "../ports.ts";
import { type Access, connect, type World } from "./access.ts";
import { type HolderWatch, watchHolders } from "./holder-watch.ts";
import { describeObstacle, type InTheWay, type Obstacle } from "./in-the-way.ts";
import { recover } from "./recover.ts";
import { type GateSettings, openSession, type Session } from "./session.ts";
import { step, type Task } from "./step.ts";
import { createWaiter, type Waiter } from "./wait.ts";

/** How long to wait, and under which names. */
export interface GateWish extends GateSettings {
  readonly lockWaitMs: number;
  /** The run's token, in a comment before every statement. */
  readonly runId: string;
  /** How long a session-level holder must have been idle before it is ended; undefined: never. */
  readonly reclaimAfterMs?: number | undefined;
  /** Where to wait while others are inside; undefined: in the session that will try the lock. */
  readonly lobby?: Lobby | undefined;
}

/** A reader's session: most runners of a fleet find others inside, and never need another one. */
export interface Lobby {
  readonly connection: Connection;
  /** Others are at work right now: wait for them before looking at the lock. */
  readonly waitsFirst: boolean;
}

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
    open: (gate) => {
      const connection = connect(world, access, access.direct ?? access.main, wish.runId);
      return openSession(connection, access, wish, gate);
    },
    lobby: wish.lobby,
    session: wish.lobby && openSession(wish.lobby.connection, access, wish),
    failures: 0,
    hasActed: false,
    mark: -1,
  };
  try {
    while (!(await turn(loop)));
  } finally {
    await loop.session?.connection.close();
  }
  return { waitedMs: loop.waiter.waitedMs(), hasActed: loop.hasActed };
}

/** A task on its way. */
export interface Loop<Plan> {
  readonly world: World;
  readonly task: Task<Plan>;
  readonly ledger: LedgerName;
  readonly waiter: Waiter;
  readonly watch: HolderWatch;
  readonly open: (gate?: Gate) => Session;
  lobby: Lobby | undefined;
  session: Session | undefined;
  failures: number;
  /** Whether this run has had something to do inside the gate. */
  hasActed: boolean;
  mark: number | string;
}

/** One try. True: the task is done. */
async function turn<Plan>(loop: Loop<Plan>): Promise<boolean> {
  try {
    loop.session ??= loop.open();
    const { session } = loop;
    const isDone = loop.lobby
      ? await tryLobby(loop, loop.lobby, session)
      : await tryStep(loop, session);
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

/** Waits while others are inside; then it is this run's turn to try, in a session of its own. */
async function tryLobby<Plan>(loop: Loop<Plan>, lobby: Lobby, session: Session): Promise<boolean> {
  const gate = await session.gate();
  const isBusy = lobby.waitsFirst || !(await isGateFree(lobby.connection, gate));
  loop.lobby = isBusy ? { ...lobby, waitsFirst: false } : undefined;
  if (isBusy) {
    // Since its first look this process may have stood in line for a processor for as long as they needed.
    const { isDone } = await loop.task.peek(lobby.connection, gate);
    return isDone || waitForOthers(loop, session, { kind: "busy" });
  }
  loop.session = loop.open(gate);
  await lobby.connection.close();
  return false;
}

async function tryStep<Plan>(loop: Loop<Plan>, session: Session): Promise<boolean> {
  const outcome = await step(session, loop.task, (place) => acting(loop, place));
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
