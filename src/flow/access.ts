/** How a flow reaches its database: which target, which name of the ledger, in whose name. */
import type { EventName } from "../core/events.ts";
import type { Head } from "../core/head.ts";
import type { LedgerName } from "../core/ledger.ts";
import type { Migration, NonEmpty } from "../core/migration.ts";
import type { Target } from "../core/target.ts";
import { type Connection, openConnection } from "../db/connection.ts";
import type { Clock, Log, Random } from "../ports.ts";

/** The world as flows see it: time, log, chance, and the wish to stop. */
export interface World {
  readonly clock: Clock;
  readonly log: Log<EventName>;
  readonly random: Random;
  /** Aborted with a HeadgateError when the process must stop: a signal, or `--deadline`. */
  readonly stop: AbortSignal;
}

/** Addresses and the ledger, as the settings name them. */
export interface Access {
  /** What the probe and the application use; maybe a pooler. */
  readonly main: Target;
  /** Past the pooler, for the gate and DDL. */
  readonly direct: Target | undefined;
  readonly ledger: LedgerName;
  /** Undefined: as the target says, else 5 s. */
  readonly connectTimeoutMs: number | undefined;
}

const CONNECT_TIMEOUT_MS = 5000;

/** The migrations at hand. The head alone answers most questions, and costs no parsing. */
export interface BundleSource {
  readonly head: Head;
  load(): Promise<NonEmpty<Migration>>;
}

/** Opens nothing yet; the first call connects. Ends by itself when the process must stop. */
export function connect(world: World, access: Access, target: Target, tag?: string): Connection {
  const connection = openConnection({
    target,
    applicationName: target.applicationName ?? "headgate",
    connectTimeoutMs: access.connectTimeoutMs ?? target.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
    onNotice: (message) => world.log("server.notice", { message }),
    ...(tag === undefined ? {} : { tag }),
  });
  const stop = (): void => connection.stop(world.stop.reason as Error);
  if (world.stop.aborted) stop();
  world.stop.addEventListener("abort", stop, { once: true });
  return {
    ...connection,
    close: async () => {
      world.stop.removeEventListener("abort", stop);
      await connection.close();
    },
  };
}

/** Opens, uses and closes one connection. */
export async function withConnection<T>(
  connection: Connection,
  use: (connection: Connection) => Promise<T>,
): Promise<T> {
  try {
    return await use(connection);
  } finally {
    await connection.close();
  }
}
