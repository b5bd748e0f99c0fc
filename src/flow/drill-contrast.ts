/**
 * What a session-level lock, as many tools use it, does on this route: the same number of clients,
 * some of them gone while they hold it. Everything that it leaves is freed again, and nothing else.
 */
import { endsConnection } from "../core/db-error.ts";
import type { DrillSize } from "../core/drill.ts";
import type { GateKey } from "../core/gate-key.ts";
import {
  endKeyHolder,
  type KeyHolder,
  readKeyHolders,
  releaseSessionLock,
  trySessionLock,
} from "../db/drill-contrast.ts";
import type { Connection } from "../ports.ts";
import { type World, withConnection } from "./access.ts";
import type { Route } from "./drill-route.ts";

/** What became of the lock. */
export interface Contrast {
  readonly key: GateKey;
  readonly clients: number;
  readonly killed: number;
  /** Most clients that held the lock at the same moment; 1 is what a lock is for. */
  readonly insideAtOnce: number;
  /** Clients that gave the lock back and were told that they did not have it. */
  readonly lostUnlocks: number;
  /** Clients that never got it, although all others were gone or done. */
  readonly gaveUp: number;
  /** Clients whose connection failed. */
  readonly failed: number;
  /** Server sessions that held the lock when every client was gone. */
  readonly orphans: readonly KeyHolder[];
  /** Those of them that still hold it. */
  readonly left: readonly KeyHolder[];
}

/** Long enough for every client to have its turn on a route that keeps sessions apart. */
const PATIENCE_MS = 4000;
const WORK_MS = 30;
const POLL_MS = 150;
const END_TRIES = 10;
const END_PAUSE_MS = 250;

type Tally = {
  -readonly [Name in "killed" | "insideAtOnce" | "lostUnlocks" | "gaveUp" | "failed"]: number;
};

/** Runs it and frees what it left, also when the process is told to stop in the middle. */
export async function contrast(world: World, route: Route, size: DrillSize): Promise<Contrast> {
  const key = { namespace: randomInt(world), ledger: randomInt(world) };
  const tally: Tally = { killed: 0, insideAtOnce: 0, lostUnlocks: 0, gaveUp: 0, failed: 0 };
  let freed: Pick<Contrast, "orphans" | "left"> = { orphans: [], left: [] };
  try {
    await useLock(world, size, { route, key, tally });
  } finally {
    freed = await free(world, route, key);
  }
  return { key, clients: size.replicas, ...tally, ...freed };
}

function randomInt({ random }: World): number {
  return Math.floor(random() * 2 ** 31);
}

interface Turn {
  readonly route: Route;
  readonly key: GateKey;
  readonly tally: Tally;
}

async function useLock(world: World, size: DrillSize, turn: Turn): Promise<void> {
  const { route, key, tally } = turn;
  const endMs = world.clock.nowMs() + PATIENCE_MS;
  let inside = 0;
  let entered = 0;
  const work = async (connection: Connection): Promise<void> => {
    entered += 1;
    const isVictim = tally.killed < size.kill && entered % 2 === 1;
    if (isVictim) tally.killed += 1;
    inside += 1;
    tally.insideAtOnce = Math.max(tally.insideAtOnce, inside);
    await world.clock.sleep(WORK_MS);
    inside -= 1;
    if (isVictim) connection.destroy(new Error("killed by the drill"));
    else if (!(await releaseSessionLock(connection, key))) tally.lostUnlocks += 1;
  };
  const client = async (connection: Connection): Promise<void> => {
    while (!(await trySessionLock(connection, key))) {
      if (world.clock.nowMs() > endMs) {
        tally.gaveUp += 1;
        return;
      }
      await world.clock.sleep(POLL_MS * (0.5 + world.random()));
    }
    await work(connection);
  };
  const clients = Array.from({ length: size.replicas }, () =>
    withConnection(route.open(), client).catch(() => {
      tally.failed += 1;
    }),
  );
  await Promise.all(clients);
  if (world.stop.aborted) throw world.stop.reason;
}

/** Ends exactly the sessions that it has shown, one at a time, and only while they hold this key. */
async function free(
  world: World,
  route: Route,
  key: GateKey,
): Promise<Pick<Contrast, "orphans" | "left">> {
  const shown = new Map<number, KeyHolder>();
  for (let tries = 0; ; tries += 1) {
    // Also before the first look: the server learns of a closed socket a moment later.
    await pause(world, END_PAUSE_MS);
    const left = await withConnection(route.openCalm(), (connection) =>
      readKeyHolders(connection, key),
    );
    show(world, shown, left);
    if (left.length === 0 || tries === END_TRIES) return toFreed(world, [...shown.values()], left);
    for (const holder of left) await end(route, key, holder);
  }
}

function show(world: World, shown: Map<number, KeyHolder>, left: readonly KeyHolder[]): void {
  for (const holder of left) {
    const { pid, state } = holder;
    if (!shown.has(pid)) world.log("drill.orphaned", { holder_pid: pid, state });
    shown.set(pid, holder);
  }
}

function toFreed(
  world: World,
  orphans: readonly KeyHolder[],
  left: readonly KeyHolder[],
): Pick<Contrast, "orphans" | "left"> {
  const freed = orphans.filter(({ pid }) => !left.some((holder) => holder.pid === pid));
  for (const { pid } of freed) world.log("drill.freed", { holder_pid: pid });
  return { orphans, left };
}

/** Our own session may be the one: then the error says so, and the next look who is left. */
async function end(route: Route, key: GateKey, holder: KeyHolder): Promise<void> {
  const connection = route.openCalm();
  try {
    await endKeyHolder(connection, key, holder);
  } catch (error) {
    if (!endsConnection(error)) throw error;
  } finally {
    await connection.close();
  }
}

/** Unlike the clock's own sleep this one also lasts while the process is stopping. */
function pause({ clock }: World, durationMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.every(durationMs, () => {
      cancel();
      resolve();
    });
  });
}
