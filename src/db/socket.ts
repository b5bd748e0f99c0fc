/**
 * A socket on which the server waits for the start-up message: connected, and encrypted as sslmode
 * says. Made here rather than by the driver, because the driver knows no verify-ca, tries hosts
 * only by reconnecting (which the gate forbids), and answers a cleartext request unasked.
 */
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import { DbError } from "../core/db-error.ts";
import { demandsTls, type HostPort, type Target } from "../core/target.ts";

/** Protocol section "SSLRequest": length 8, code 80877103. */
const SSL_REQUEST: Uint8Array = new Uint8Array([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
const YES = "S".charCodeAt(0);
const NO = "N".charCodeAt(0);
/** First probe after this long, so that a dead peer is noticed while a statement runs. */
const KEEPALIVE_MS = 10_000;

/** A socket on which the protocol may begin. */
export interface OpenSocket {
  readonly socket: Socket;
  /** True when nobody between us and the server can read along. */
  readonly isPrivate: boolean;
  /** The one of the hosts that answered. */
  readonly peer: Peer;
}

/** A name may lead to several servers: the address is the one that answered. */
interface Peer extends HostPort {
  readonly address?: string | undefined;
}

/** Connected, and encrypted or not. */
type Opened = Omit<OpenSocket, "peer">;

/**
 * Tries the hosts in their order and returns the first that answers.
 *
 * @throws {DbError} kind `connect`, naming every host and why it failed.
 */
export async function openSocket(target: Target, timeoutMs: number): Promise<OpenSocket> {
  const failures: string[] = [];
  for (const host of target.hosts) {
    try {
      const opened = await openHost(target, host, timeoutMs);
      return { ...opened, peer: { ...host, address: opened.socket.remoteAddress } };
    } catch (error) {
      failures.push(`${host.host}:${host.port}: ${reasonOf(error)}`);
    }
  }
  throw new DbError("connect", `no connection to ${failures.join("; ")}`);
}

/** One more connection to the server that answered, as safe as the first one. */
export async function openBeside(target: Target, peer: Peer, timeoutMs: number): Promise<Socket> {
  const { socket } = await openHost(target, peer, timeoutMs);
  return socket;
}

async function openHost(target: Target, host: Peer, timeoutMs: number): Promise<Opened> {
  if (host.host.startsWith("/")) {
    const path = `${host.host}/.s.PGSQL.${host.port}`;
    return { socket: await opened(connectTcp({ path }), "connect", timeoutMs), isPrivate: true };
  }
  if (target.sslMode === "disable") return plain(host, timeoutMs);
  if (demandsTls(target)) return encrypted(target, host, timeoutMs);
  try {
    return await encrypted(target, host, timeoutMs);
  } catch (error) {
    if (error instanceof DbError) return plain(host, timeoutMs);
    throw error;
  }
}

async function plain(host: Peer, timeoutMs: number): Promise<Opened> {
  return { socket: await tcp(host, timeoutMs), isPrivate: false };
}

async function tcp({ host, port, address }: Peer, timeoutMs: number): Promise<Socket> {
  const socket = connectTcp({ host: address ?? host, port });
  await opened(socket, "connect", timeoutMs);
  socket.setNoDelay(true);
  socket.setKeepAlive(true, KEEPALIVE_MS);
  return socket;
}

/** @throws {DbError} when the server has no TLS or the handshake fails; others are no word on TLS. */
async function encrypted(target: Target, host: Peer, timeoutMs: number): Promise<Opened> {
  const socket = await tcp(host, timeoutMs);
  try {
    const isOffered = await requestTls(socket, timeoutMs);
    if (!isOffered && !demandsTls(target)) return { socket, isPrivate: false };
    if (!isOffered) throw new Error("the server does not offer TLS");
    const secure = connectTls({ socket, ...tlsOptions(target, host.host) });
    return { socket: await opened(secure, "secureConnect", timeoutMs), isPrivate: true };
  } catch (error) {
    socket.destroy();
    if (error instanceof NoAnswer) throw error;
    // biome-ignore lint/style/useErrorCause: the cause is the third argument's
    throw new DbError("connect", reasonOf(error), { cause: error });
  }
}

/**
 * Whether the server offers TLS. After a no the same connection serves without.
 * Bytes behind the answer would be a man in the middle's, to be read as if encrypted.
 */
async function requestTls(socket: Socket, timeoutMs: number): Promise<boolean> {
  socket.write(SSL_REQUEST);
  const answer = await bounded<Uint8Array>(socket, "data", timeoutMs);
  if (answer.length === 1 && answer[0] === YES) return true;
  if (answer.length === 1 && answer[0] === NO) return false;
  throw new NoAnswer("the answer to the TLS request is not PostgreSQL's");
}

function tlsOptions(target: Target, host: string): ConnectionOptions {
  const verifies = target.sslMode === "verify-ca" || target.sslMode === "verify-full";
  return {
    rejectUnauthorized: verifies,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(target.sslRootCert === undefined ? {} : { ca: target.sslRootCert }),
    ...(target.sslCert === undefined ? {} : { cert: target.sslCert }),
    ...(target.sslKey === undefined ? {} : { key: target.sslKey }),
    ...(target.sslMode === "verify-full" ? {} : { checkServerIdentity: () => undefined }),
  };
}

async function opened<T extends Socket>(
  socket: T,
  event: "connect" | "secureConnect",
  timeoutMs: number,
): Promise<T> {
  await bounded(socket, event, timeoutMs);
  return socket;
}

/** The event's first value; destroys the socket when it fails or does not come in time. */
function bounded<T>(socket: Socket, event: string, timeoutMs: number): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const settle = (act: () => void): void => {
      clearTimeout(timer);
      socket.off(event, onEvent).off("error", onError).off("close", onClose);
      act();
    };
    const fail = (error: Error): void => {
      settle(() => reject(error));
      socket.on("error", () => undefined).destroy();
    };
    const onEvent = (value: T): void => settle(() => resolve(value));
    const onError = (error: Error): void => fail(error);
    const onClose = (): void => fail(new Error("connection closed by the server"));
    const timer = setTimeout(
      () => fail(new NoAnswer(`no answer within ${timeoutMs} ms`)),
      timeoutMs,
    );
    socket.once(event, onEvent).once("error", onError).once("close", onClose);
  });
}

/** Silence or noise: no PostgreSQL server said "no", so nothing weaker is tried. */
class NoAnswer extends Error {}

/** An AggregateError (several addresses of one name) has its reasons inside. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join(", ");
  return error instanceof Error && error.message !== "" ? error.message : String(error);
}
