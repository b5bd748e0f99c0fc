/** How a flow reaches its database: which target, which name of the ledger, in whose name. */
import type { EventName } from "../core/events.ts";
import type { Head } from "../core/head.ts";
import type { LedgerName } from "../core/ledger.ts";
import type { Migration, NonEmpty } from "../core/migration.ts";
import type { Target } from "../core/target.ts";
import type { ConnectionOptions } from "../db/connection.ts";
import type { Clock, Connection, Log, Random } from "../ports.ts";

/** The world as flows see it: time, log, chance, and the wish to stop. */
export interface World {
  readonly clock: Clock;
  readonly log: Log<EventName>;
  readonly random: Random;
  /** Aborted with a HeadgateError when the process must stop: a signal, or `--deadline`. */
  readonly stop: AbortSignal;
  /** Opens a session for questions alone; undefined: the general client does that too. */
  readonly openReader?: ((options: ConnectionOptions) => Promise<Connection>) | undefined;
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
  return opening(world, optionsOf(world, access, target, tag), openGeneral);
}

/** As `connect`, for who only reads: by the small client, where the world has one. */
export function connectReader(
  world: World,
  access: Access,
  tag?: string,
  target: Target = access.main,
): Connection {
  const options = optionsOf(world, access, target, tag);
  return opening(world, options, world.openReader ?? openGeneral);
}

async function openGeneral(options: ConnectionOptions): Promise<Connection> {
  const { openConnection } = await import("../db/connection.ts");
  return openConnection(options);
}

function optionsOf(
  world: World,
  access: Access,
  target: Target,
  tag: string | undefined,
): ConnectionOptions {
  return {
    target,
    applicationName: target.applicationName ?? "headgate",
    connectTimeoutMs: access.connectTimeoutMs ?? target.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
    onNotice: (message) => world.log("server.notice", { message }),
    ...(tag === undefined ? {} : { tag }),
  };
}

/** Loads and opens with the first call. */
function opening(
  world: World,
  options: ConnectionOptions,
  open: (options: ConnectionOptions) => Promise<Connection>,
): Connection {
  let opened: Promise<Connection> | undefined;
  let ended: Error | undefined;
  const end = (error: Error, how: "destroy" | "stop"): void => {
    ended ??= error;
    opened?.then((connection) => connection[how](error)).catch(() => undefined);
  };
  const connection = async (): Promise<Connection> => {
    if (ended) throw ended;
    opened ??= open(options);
    return opened;
  };
  const stop = (): void => end(world.stop.reason as Error, "stop");
  if (world.stop.aborted) stop();
  world.stop.addEventListener("abort", stop, { once: true });
  return {
    run: async (text, deadlineMs) => (await connection()).run(text, deadlineMs),
    bind: async (text, values, deadlineMs) => (await connection()).bind(text, values, deadlineMs),
    destroy: (error) => end(error, "destroy"),
    stop: (error) => end(error, "stop"),
    close: async () => {
      world.stop.removeEventListener("abort", stop);
      await (await opened)?.close();
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
