/** The driver, held to one socket, with what it does not see or does not say watched for it. */
import type { Socket } from "node:net";
import postgres from "postgres";
import { DbError } from "../core/db-error.ts";
import { watchAuthentication } from "./authentication.ts";
import type { ConnectionOptions } from "./connection.ts";
import { toDbError } from "./driver-error.ts";
import { readAlong } from "./read-along.ts";
import { openBeside, openSocket } from "./socket.ts";

/** Why the connection ended, once it has, and how to end it. */
export interface Life {
  error: Error | undefined;
  destroySocket: () => void;
  loginTimer: ReturnType<typeof setTimeout> | undefined;
  /** Before that the driver itself reports what the server says. */
  isLoggedIn: boolean;
  isRefused: boolean;
  /** The socket is gone, by whomever. */
  isClosed: boolean;
  /** As the server gave it: process id and secret. */
  cancelKey: Uint8Array | undefined;
  /** Undefined until the server takes its first statement. */
  isInTransaction: boolean | undefined;
  /** Told when the socket is gone: what the driver has not answered by then it may never answer. */
  readonly waiting: Set<(error: Error) => void>;
  /** Another socket to the very server that this one leads to. */
  openBeside: ((timeoutMs: number) => Promise<Socket>) | undefined;
}

/** Before its first socket. */
export function newLife(): Life {
  return {
    error: undefined,
    destroySocket: () => undefined,
    loginTimer: undefined,
    isLoggedIn: false,
    isRefused: false,
    isClosed: false,
    cancelKey: undefined,
    isInTransaction: undefined,
    waiting: new Set(),
    openBeside: undefined,
  };
}

/** A driver that has one socket in its life. Nothing is sent before the first statement. */
export function openDriver(options: ConnectionOptions, life: Life): postgres.Sql {
  const { target } = options;
  let used = false;
  const socket = async (): Promise<unknown> => {
    if (used) throw new DbError("lost", "connection lost");
    used = true;
    return openWatched(options, life);
  };
  return postgres({
    host: target.hosts[0].host,
    port: target.hosts[0].port,
    user: target.user,
    database: target.database,
    // A promise that never settles: the answer must not leave, and a rejection would be nobody's.
    password: () =>
      life.isRefused ? new Promise<string>(() => undefined) : (target.password ?? ""),
    ssl: false,
    max: 1,
    prepare: false,
    fetch_types: false,
    max_lifetime: null,
    idle_timeout: 0,
    connect_timeout: 0,
    // The socket has its own, which the driver would replace by one of a minute.
    keep_alive: null,
    connection: { ...target.startup, application_name: options.applicationName },
    onnotice: (notice) => options.onNotice?.(String(notice["message"] ?? "")),
    onparameter: () => {
      life.isLoggedIn = true;
      clearTimeout(life.loginTimer);
    },
    onclose: () => {
      life.isClosed = true;
      clearTimeout(life.loginTimer);
      life.error ??= new DbError("lost", "connection lost");
    },
    // In the driver, but not in its types.
    ...({ socket } as object),
  });
}

/** The socket, with everything on it that the driver does not see or does not say. */
async function openWatched(
  { target, connectTimeoutMs }: ConnectionOptions,
  life: Life,
): Promise<Socket> {
  const { socket, isPrivate, peer } = await openSocket(target, connectTimeoutMs);
  life.destroySocket = () => void socket.destroy();
  if (life.error) socket.destroy();
  boundLogin(life, connectTimeoutMs);
  life.openBeside = (timeoutMs) => openBeside(target, peer, timeoutMs);
  readAlong(socket, {
    onFatal: (error) => {
      if (life.isLoggedIn) life.error ??= error;
    },
    onKey: (key) => {
      life.cancelKey = key;
    },
    onReady: (isInTransaction) => {
      life.isInTransaction = isInTransaction;
    },
  });
  // Between a socket's error and its close the driver takes statements that it never answers. What
  // the server said before says more.
  socket.on("error", (error) => {
    life.error ??= toDbError(error, 0);
  });
  socket.once("close", () => {
    life.error ??= new DbError("lost", "connection lost");
    for (const reject of life.waiting) reject(life.error);
  });
  watchAuthentication(socket, isPrivate || target.allowCleartext, (error) => {
    life.isRefused = true;
    endLife(life, error);
  });
  return socket;
}

/** Who takes the connection and then says nothing is no server; the first parameter ends the login. */
function boundLogin(life: Life, timeoutMs: number): void {
  life.loginTimer = setTimeout(
    () => endLife(life, new DbError("connect", `no login within ${timeoutMs} ms`)),
    timeoutMs,
  );
}

/** Destroys the socket; every call from now on fails with the first error. */
export function endLife(life: Life, error: Error): void {
  life.error ??= error;
  clearTimeout(life.loginTimer);
  life.destroySocket();
}
