/** Watches what a pooler gives to one client: places, time to think, and what it may say at its start. */
import { DbError } from "../core/db-error.ts";
import type { RoomSight } from "../core/doctor-room.ts";
import type { Clock, Connection } from "../ports.ts";

/** As many as a migration outside a transaction takes, and one for everybody else. */
const PLACES = 3;
const PLACE_DEADLINE_MS = 2000;
/** Longer than the pause between two signs of life of such a migration. */
const IDLE_MS = 6000;

/** The server's own limit is set aside, so that only the pooler's is left. Reads nothing, locks nothing. */
const BEGIN = `begin isolation level read committed read only;
set local idle_in_transaction_session_timeout = '60s'`;

/**
 * Opens transactions at once until one gets no place, or three are open. Then one of them stays
 * idle for six seconds, alone: a pool that is small is not kept from others for that long.
 *
 * @param first Open already: a pool of sessions has given it its place.
 * @param open A new connection each time. All are closed here.
 */
export async function watchRoom(
  first: Connection,
  open: () => Connection,
  clock: Clock,
): Promise<RoomSight> {
  const others: Connection[] = [];
  try {
    if (!(await hasPlace(first))) return { places: 0, isIdleEnded: undefined };
    let places = 1;
    for (; places < PLACES; places += 1) {
      const next = open();
      others.push(next);
      if (!(await hasPlace(next))) return { places, isIdleEnded: undefined };
    }
    for (const connection of others.splice(0)) await leave(connection);
    await clock.sleep(IDLE_MS);
    const question = first.run("show server_version_num", PLACE_DEADLINE_MS);
    return { places, isIdleEnded: !(await isAnswered(question)) };
  } finally {
    for (const connection of [first, ...others]) await leave(connection);
  }
}

/** A connection that gets no place is ended by its deadline. */
function hasPlace(connection: Connection): Promise<boolean> {
  return isAnswered(connection.run(BEGIN, PLACE_DEADLINE_MS));
}

function isAnswered(question: Promise<unknown>): Promise<boolean> {
  return question.then(
    () => true,
    () => false,
  );
}

async function leave(connection: Connection): Promise<void> {
  await connection.run("rollback", PLACE_DEADLINE_MS).catch(() => undefined);
  await connection.close();
}

/** What other clients send: libpq's options, drivers' defaults. The values change nothing. */
const STARTUP: Readonly<Record<string, string>> = {
  extra_float_digits: "1",
  options: "-c geqo=on",
  search_path: "public",
  statement_timeout: "0",
};

/** Those with which there is no connection, where there is one without them. */
export async function readRefusedStartup(
  open: (startup: Readonly<Record<string, string>>) => Connection,
): Promise<readonly string[]> {
  const refused: string[] = [];
  for (const [name, value] of Object.entries(STARTUP)) {
    const connection = open({ [name]: value });
    if (await isRefused(connection)) refused.push(name);
    await connection.close();
  }
  return refused;
}

/** By a word, not by silence. */
function isRefused(connection: Connection): Promise<boolean> {
  return connection.run("show server_version_num").then(
    () => false,
    (error: unknown) => error instanceof DbError && error.kind === "server",
  );
}
