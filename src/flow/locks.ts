/** `locks`: who holds or waits for the gate, and which other tools' locks are there. Only reads. */
import type { LedgerPlace } from "../core/ledger.ts";
import { classifyLocks, type Lock } from "../core/locks.ts";
import { readDatabaseName, readLocks } from "../db/locks.ts";
import { resolvePlace } from "../db/place.ts";
import type { Connection } from "../ports.ts";
import { type Access, connect, type World, withConnection } from "./access.ts";
import { unreadableError } from "./db-trouble.ts";

/** All advisory locks of the database, and those on the ledger's table. */
export interface LocksReport {
  readonly place: LedgerPlace;
  readonly database: string;
  /** The gate's own first, holders before waiters. */
  readonly locks: readonly Lock[];
}

/**
 * Reads and judges nothing: past the pooler where there is an address for that.
 *
 * @throws {HeadgateError} `unreachable`, or `config-invalid` when there is no schema for a ledger
 */
export async function locks(
  world: World,
  access: Access,
  lockId: bigint | undefined,
): Promise<LocksReport> {
  const connection = connect(world, access, access.direct ?? access.main);
  return withConnection(connection, async () => {
    const { place, database } = await readScope(connection, access);
    const rows = await readLocks(connection, place);
    return { place, database, locks: classifyLocks(rows, { place, database, lockId }) };
  }).catch((error: unknown) => {
    throw world.stop.aborted ? world.stop.reason : unreadableError(error, access.ledger);
  });
}

/** Where to look; outside of any transaction. */
export async function readScope(
  connection: Connection,
  access: Access,
): Promise<{ readonly place: LedgerPlace; readonly database: string }> {
  const { searchPath } = access.direct ?? access.main;
  const place = await resolvePlace(connection, access.ledger, searchPath);
  return { place, database: await readDatabaseName(connection) };
}
