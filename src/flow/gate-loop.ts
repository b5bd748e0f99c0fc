/**
 * Drives steps through the gate until a task has nothing left to do. One step is one transaction on
 * one connection; whatever breaks, the next step reads the ledger again and decides anew.
 */
import {
  type DbError,
  endsConnection,
  isConnectionTrouble,
  isContention,
  sqlStateOf,
} from "../core/db-error.ts";
import { stepKey } from "../core/gate-key.ts";
import type { Ledger, LedgerPlace, LedgerRow } from "../core/ledger.ts";
import type { Connection } from "../db/connection.ts";
import { commit, enterLedger, type Gate, rollback, tryGate } from "../db/gate.ts";
import { resolvePlace } from "../db/place.ts";
import { type Access, connect, type World } from "./access.ts";
import { gateError, unreachableError } from "./db-trouble.ts";
import { describeHolders, describeRow, describeTrouble } from "./in-the-way.ts";
import { readSettledLedger } from "./state.ts";
import { createWaiter, type Waiter } from "./wait.ts";

export type Decision<Plan> =
  | { readonly kind: "nothing" }
  | { readonly kind: "wait"; readonly row: LedgerRow }
  | { readonly kind: "act"; readonly plan: Plan };

/** What one command does inside the gate. */
export interface Task<Plan> {
  /** Pure; throws to refuse. Called with the ledger as it is inside the gate. */
  decide(ledger: Ledger): Decision<Plan>;
  /** Effect and ledger row, in the gate's transaction, without its COMMIT. */
  act(connection: Connection, place: LedgerPlace, plan: Plan): Promise<void>;
  /** The server's verdict at COMMIT, in the command's words. */
  commitFailed(plan: Plan, error: DbError): Error;
  committed(plan: Plan): void;
  /** Without the gate: is it done, and which is the ledger's highest version (-1: none)? */
  peek(
    connection: Connection,
    place: LedgerPlace,
  ): Promise<{ readonly isDone: boolean; readonly mark: number }>;
  /** The last look, once nothing is left to do. */
  finish(): Promise<void>;
}

export interface GateWish {
  readonly lockWaitMs: number;
  readonly foreignKey: bigint | undefined;
  /** The run's token, in a comment before every statement. */
  readonly runId: string;
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

/** @throws what the task refuses with, and `gate-timeout`, `unreachable`, `privilege-missing` */
export async function throughGate<Plan>(
  world: World,
  access: Access,
  wish: GateWish,
  task: Task<Plan>,
): Promise<Passage> {
  const loop: Loop<Plan> = {
    world,
    task,
    waiter: createWaiter(world, wish.lockWaitMs),
    open: () => openSession(world, access, wish),
    session: undefined,
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

interface Session {
  readonly connection: Connection;
  readonly gate: Gate;
}

interface Loop<Plan> {
  readonly world: World;
  readonly task: Task<Plan>;
  readonly waiter: Waiter;
  readonly open: () => Promise<Session>;
  session: Session | undefined;
  failures: number;
  /** Whether this run has had something to do inside the gate. */
  hasActed: boolean;
  mark: number;
}

async function openSession(world: World, access: Access, wish: GateWish): Promise<Session> {
  const target = access.direct ?? access.main;
  const connection = connect(world, access, target, wish.runId);
  try {
    const place = await resolvePlace(connection, access.ledger, target.searchPath);
    const gate = {
      key: stepKey(place),
      place,
      foreignKey: wish.foreignKey,
      searchPath: target.searchPath,
    };
    return { connection, gate };
  } catch (error) {
    await connection.close();
    throw error;
  }
}

/** One try. True: the task is done. */
async function turn<Plan>(loop: Loop<Plan>): Promise<boolean> {
  try {
    loop.session ??= await loop.open();
    const isDone = await tryStep(loop, loop.session);
    if (isDone) await loop.task.finish();
    return isDone;
  } catch (error) {
    if (loop.world.stop.aborted) throw loop.world.stop.reason;
    await recover(loop, error);
    return false;
  }
}

async function tryStep<Plan>(loop: Loop<Plan>, session: Session): Promise<boolean> {
  const outcome = await step(session, loop);
  loop.failures = 0;
  if (outcome.kind === "stopped") return true;
  if (outcome.kind === "done") {
    loop.waiter.progressed();
    return false;
  }
  const { connection, gate } = session;
  await loop.waiter.pause(
    outcome.kind === "busy"
      ? () => describeHolders(connection, gate)
      : async () => describeRow(outcome.row),
  );
  return peek(loop, session);
}

async function peek<Plan>(loop: Loop<Plan>, session: Session): Promise<boolean> {
  const { isDone, mark } = await loop.task.peek(session.connection, session.gate.place);
  if (mark !== loop.mark) loop.waiter.progressed();
  loop.mark = mark;
  return isDone;
}

type StepOutcome =
  | { readonly kind: "busy" }
  | { readonly kind: "wait"; readonly row: LedgerRow }
  | { readonly kind: "stopped" }
  | { readonly kind: "done" };

async function step<Plan>(session: Session, loop: Loop<Plan>): Promise<StepOutcome> {
  const { connection, gate } = session;
  if (!(await tryGate(connection, gate))) return { kind: "busy" };
  try {
    return await insideGate(session, loop);
  } catch (error) {
    if (!endsConnection(error)) await rollback(connection);
    throw error;
  }
}

async function insideGate<Plan>(session: Session, loop: Loop<Plan>): Promise<StepOutcome> {
  const { connection, gate } = session;
  const { task, world } = loop;
  const isNew = await enterLedger(connection, gate);
  const ledger = `${gate.place.schema}.${gate.place.table}`;
  const decision = task.decide(await readSettledLedger(connection, gate.place));
  if (decision.kind !== "act") {
    await rollback(connection);
    return decision.kind === "wait" ? decision : { kind: "stopped" };
  }
  if (!loop.hasActed) world.log("gate.acquired", { ledger, waited_ms: loop.waiter.waitedMs() });
  loop.hasActed = true;
  await task.act(connection, gate.place, decision.plan);
  await commit(connection).catch((error: unknown) => {
    if (isConnectionTrouble(error) || isContention(error)) throw error;
    throw task.commitFailed(decision.plan, error as DbError);
  });
  if (isNew) world.log("ledger.created", { ledger });
  task.committed(decision.plan);
  return { kind: "done" };
}

/** Decides whether another try may do better, and waits for it. @throws the error when not. */
async function recover<Plan>(loop: Loop<Plan>, error: unknown): Promise<void> {
  const { world } = loop;
  if (isContention(error)) {
    world.log("step.retried", { sqlstate: sqlStateOf(error), reason: (error as Error).message });
    return loop.waiter.pause(async () => describeTrouble(error as DbError));
  }
  if (!isConnectionTrouble(error)) throw gateError(error, loop.session?.gate.place);
  await dropSession(loop, error as Error);
  loop.failures += 1;
  const isServerThere = (error as DbError).kind === "server";
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
