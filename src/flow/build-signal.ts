/**
 * How a run that works outside a transaction shows that it lives: by a connection that holds K_RUN
 * and beats, or, where the pool has no place for one, by a lease in the ledger row.
 *
 * (1) The beat is SHOW, never SELECT: a snapshot taken at the wrong moment hangs the index build.
 * (2) A lost signal ends the work connection: nobody may work whom others take for dead.
 * (3) A pool of two would serve nobody else for the length of a build. So a third client must get
 *     through while two are inside, or there is no second connection at all.
 */
import { DbError, isConnectionTrouble } from "../core/db-error.ts";
import { HeadgateError } from "../core/error.ts";
import { renewLease } from "../db/build-row.ts";
import { type Gate, tryRunLock } from "../db/gate.ts";
import type { Connection } from "../ports.ts";
import { type Access, connect, type World } from "./access.ts";

const BEAT_MS = 5000;
const BEAT_DEADLINE_MS = 5000;
const ROOM_DEADLINE_MS = 3000;
/** Shorter ones ran out while other runners' questions kept the owner from renewing them. */
const LEASE_MS = 60_000;
const RENEW_MS = 20_000;

/** A run's sign of life, from before the claim to after the last word. */
export interface Signal {
  /** The server process that holds K_RUN; undefined in lease mode. */
  readonly pid: number | undefined;
  /** How long a lease holds; undefined when there is none. */
  readonly leaseMs: number | undefined;
  /** From now on the row is this run's: leases are renewed. */
  claimed(version: number): void;
  stop(): Promise<void>;
}

/** What a signal is opened for. */
export interface SignalWish {
  readonly world: World;
  readonly access: Access;
  readonly gate: Gate;
  readonly runId: string;
  /** Ended when the signal is lost. */
  readonly work: Connection;
}

/** `crowded`: the pool has no place for it. */
type Opened = Signal | "busy" | "crowded";

/** A connection with K_RUN, unless it is taken or the pool has no place for it. */
export async function openLock(wish: SignalWish): Promise<Opened> {
  const lock = connectAgain(wish);
  try {
    const pid = await tryRunLock(lock, wish.gate, BEAT_DEADLINE_MS);
    if (pid === undefined) return await closed(lock, "busy");
    if (!(await hasRoom(wish))) {
      await lock.run("rollback", BEAT_DEADLINE_MS);
      return await closed(lock, "crowded");
    }
    return beating(wish, lock, pid);
  } catch (error) {
    await lock.close();
    if (wish.world.stop.aborted || !isConnectionTrouble(error)) throw error;
    return "crowded";
  }
}

/**
 * A lease instead of a connection.
 *
 * @throws {HeadgateError} `config-invalid` with `--lock-id`, which no lease can hold.
 */
export function openLease(wish: SignalWish): Signal {
  refuseForeignKey(wish.gate);
  let stopRenewing = (): void => undefined;
  return {
    pid: undefined,
    leaseMs: LEASE_MS,
    claimed: (version) => {
      stopRenewing = renewing(wish, version);
    },
    stop: async () => stopRenewing(),
  };
}

function refuseForeignKey({ foreignKey }: Gate): void {
  if (foreignKey === undefined) return;
  throw new HeadgateError(
    "Cannot hold the lock of --lock-id during a migration outside a transaction: the pool has no place for a connection that holds it",
    {
      code: "config-invalid",
      hint: "Give the pool at least three connections, or MIGRATION_DATABASE_URL an address past it",
    },
  );
}

function connectAgain({ world, access, runId }: SignalWish): Connection {
  return connect(world, access, access.direct ?? access.main, runId);
}

async function closed<T>(connection: Connection, answer: T): Promise<T> {
  await connection.close();
  return answer;
}

/** With the lock open, may one more work and yet another be served? */
async function hasRoom(wish: SignalWish): Promise<boolean> {
  const worker = connectAgain(wish);
  const third = connectAgain(wish);
  try {
    await worker.run("begin isolation level read committed; select 1", ROOM_DEADLINE_MS);
    await third.run("select 1", ROOM_DEADLINE_MS);
    await worker.run("rollback", ROOM_DEADLINE_MS);
    return true;
  } catch (error) {
    if (wish.world.stop.aborted || !isConnectionTrouble(error)) throw error;
    return false;
  } finally {
    await Promise.all([worker.close(), third.close()]);
  }
}

function beating({ world, work }: SignalWish, lock: Connection, pid: number): Signal {
  let isStopped = false;
  const beat = async (): Promise<void> => {
    try {
      await lock.run("show server_version_num", BEAT_DEADLINE_MS);
    } catch (error) {
      if (isStopped) return;
      const reason = `the connection that shows we live was lost: ${(error as Error).message}`;
      work.destroy(new DbError("lost", reason));
    }
  };
  const quiet = world.clock.every(BEAT_MS, () => void beat());
  return {
    pid,
    leaseMs: undefined,
    claimed: () => undefined,
    stop: async () => {
      isStopped = true;
      quiet();
      // A pooler throws away the server connection of a client that leaves inside a transaction.
      await lock.run("rollback", BEAT_DEADLINE_MS).catch(() => undefined);
      await lock.close();
    },
  };
}

/** On a client of its own, where the pool has a second place; else the statement's token stands in. */
function renewing(wish: SignalWish, version: number): () => void {
  let isBusy = false;
  const renew = async (): Promise<void> => {
    if (isBusy) return;
    isBusy = true;
    const connection = connectAgain(wish);
    const entry = { version, runId: wish.runId, leaseMs: LEASE_MS, deadlineMs: BEAT_DEADLINE_MS };
    await renewLease(connection, wish.gate.place, entry).catch(() => false);
    await connection.close();
    isBusy = false;
  };
  return wish.world.clock.every(RENEW_MS, () => void renew());
}
