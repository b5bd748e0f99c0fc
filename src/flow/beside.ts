/** Looks at the holder of a lock without touching its session, also through a pooler. */
import { HeadgateError } from "../core/error.ts";
import type { LedgerPlace } from "../core/ledger.ts";
import { classifyLocks, heldBy, type Lock } from "../core/locks.ts";
import { rollback } from "../db/gate.ts";
import { openPinned, readBackendPid, sampleLocks } from "../db/locks.ts";
import type { Connection } from "../ports.ts";
import { type Access, connect, type World } from "./access.ts";
import { unreadableError } from "./db-trouble.ts";
import { readScope } from "./locks.ts";

/** For a place in a pool besides our own. */
const BESIDE_DEADLINE_MS = 3000;

/** Questions about one pid on a session that is not it. */
export interface Look {
  readonly connection: Connection;
  readonly place: LedgerPlace;
  readonly locks: () => Promise<readonly Lock[]>;
  readonly find: () => Promise<Lock | undefined>;
  /** @throws `refused` when it holds nothing */
  readonly holder: () => Promise<Lock>;
}

/** Whom to look at. */
export interface Aim {
  readonly pid: number;
  readonly lockId: bigint | undefined;
  /** In whose name. */
  readonly runId?: string;
}

/**
 * Opens a session that is not the pid's, and keeps it in one transaction while `use` asks.
 *
 * @throws {HeadgateError} `refused` when a pooler has no other session, or the pid holds nothing
 */
export async function beside<T>(
  world: World,
  access: Access,
  wish: Aim,
  use: (look: Look) => Promise<T>,
): Promise<T> {
  const opened: Connection[] = [];
  const open = (): Connection => {
    const connection = connect(world, access, access.direct ?? access.main, wish.runId);
    opened.push(connection);
    return connection;
  };
  try {
    const first = open();
    const { place, database } = await readScope(first, access);
    await openPinned(first);
    const isHolder = (await readBackendPid(first)) === wish.pid;
    const connection = isHolder ? await openSecond(open(), wish.pid) : first;
    // The holder goes back to its pool, and is left alone from now on.
    if (isHolder) await leave(first);
    const scope = { place, database, lockId: wish.lockId };
    const locks = async (): Promise<readonly Lock[]> =>
      classifyLocks(await sampleLocks(connection, place), scope);
    const find = async (): Promise<Lock | undefined> => heldBy(await locks(), wish.pid);
    const holder = async (): Promise<Lock> => (await find()) ?? refuseAbsent(wish.pid);
    return await use({ connection, place, locks, find, holder });
  } catch (error) {
    throw world.stop.aborted ? world.stop.reason : unreadableError(error, access.ledger);
  } finally {
    for (const connection of opened) await leave(connection);
  }
}

/** Never closes inside a transaction: a pooler would end the session, which may be the holder's. */
async function leave(connection: Connection): Promise<void> {
  await rollback(connection);
  await connection.close();
}

/** The first one keeps the holder's session busy, so a pooler must give another one. */
async function openSecond(connection: Connection, pid: number): Promise<Connection> {
  try {
    await openPinned(connection, BESIDE_DEADLINE_MS);
    return connection;
  } catch (error) {
    throw new HeadgateError(
      `Cannot release the lock of pid ${pid}: this pooler has no other server session to ask on`,
      {
        code: "refused",
        hint: "Give MIGRATION_DATABASE_URL an address past the pooler, and run it again",
        cause: error,
      },
    );
  }
}

function refuseAbsent(pid: number): never {
  throw new HeadgateError(
    `Cannot release the lock of pid ${pid}: it holds no advisory lock of this database and none on the ledger`,
    { code: "refused", hint: 'Run "headgate locks" for the holders' },
  );
}
