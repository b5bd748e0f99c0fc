/**
 * A stream to one of a target's hosts, encrypted as sslmode says, that gives whole messages. The
 * same order and the same words as `db/socket.ts`, on the runtime's own sockets.
 */
import { DbError } from "../core/db-error.ts";
import { demandsTls, type HostPort, type SslMode, type Target } from "../core/target.ts";
import type { Listener, TlsWish, WirePort } from "../ports.ts";
import { asChannel, type Channel, type OpenStream } from "./channel.ts";
import { sslRequest } from "./messages.ts";

/** "S". */
const YES = 0x53;
/** "N". */
const NO = 0x4e;
const PROOFS: Readonly<Partial<Record<SslMode, TlsWish["proof"]>>> = {
  "verify-ca": "chain",
  "verify-full": "identity",
};

/**
 * Tries the hosts in their order and gives the first that answers.
 *
 * @throws {DbError} kind `connect`, naming every host and why it failed.
 */
export async function openChannel(
  port: WirePort,
  target: Target,
  timeoutMs: number,
): Promise<Channel> {
  const failures: string[] = [];
  for (const host of target.hosts) {
    try {
      return await openHost(port, target, host, timeoutMs);
    } catch (error) {
      failures.push(`${host.host}:${host.port}: ${reasonOf(error)}`);
    }
  }
  throw new DbError("connect", `no connection to ${failures.join("; ")}`);
}

async function openHost(
  port: WirePort,
  target: Target,
  host: HostPort,
  timeoutMs: number,
): Promise<Channel> {
  if (host.host.startsWith("/")) {
    const path = `${host.host}/.s.PGSQL.${host.port}`;
    return asChannel(await connected(port, { path }, timeoutMs), { isPrivate: true });
  }
  const plain = async (): Promise<Channel> =>
    asChannel(await connected(port, host, timeoutMs), { isPrivate: false });
  if (target.sslMode === "disable") return plain();
  try {
    return await encrypted(port, target, host, timeoutMs);
  } catch (error) {
    if (error instanceof DbError && !demandsTls(target)) return plain();
    throw error;
  }
}

/** @throws {DbError} when the server has no TLS or the handshake fails; others are no word on TLS. */
async function encrypted(
  port: WirePort,
  target: Target,
  host: HostPort,
  timeoutMs: number,
): Promise<Channel> {
  const open = await connected(port, host, timeoutMs);
  try {
    open.stream.write(sslRequest());
    const answer = await bounded(open.firstBytes(), timeoutMs);
    if (isByte(answer, NO) && !demandsTls(target)) return asChannel(open, { isPrivate: false });
    if (isByte(answer, NO)) throw new DbError("connect", "the server does not offer TLS");
    // Bytes behind the answer would be a man in the middle's, to be read as if encrypted.
    if (!isByte(answer, YES)) throw new Error("the answer to the TLS request is not PostgreSQL's");
    const handshake = open.stream.startTls(tlsWish(target, host.host)).catch((error: unknown) => {
      throw new DbError("connect", reasonOf(error), { cause: error });
    });
    const certificate = await bounded(handshake, timeoutMs);
    return asChannel(open, { isPrivate: true, certificate });
  } catch (error) {
    open.stream.destroy();
    throw error;
  }
}

function isByte(bytes: Uint8Array, byte: number): boolean {
  return bytes.length === 1 && bytes[0] === byte;
}

function tlsWish(target: Target, host: string): TlsWish {
  const proof = PROOFS[target.sslMode] ?? "none";
  const isAddress = /^[\d.]+$|:/.test(host);
  return {
    proof,
    serverName: isAddress && proof !== "identity" ? undefined : host,
    ca: target.sslRootCert,
    cert: target.sslCert,
    key: target.sslKey,
  };
}

async function connected(
  port: WirePort,
  endpoint: HostPort | { readonly path: string },
  timeoutMs: number,
): Promise<OpenStream> {
  let listener: Listener | undefined;
  const early: Uint8Array[] = [];
  let end: { readonly error: Error | undefined } | undefined;
  const dialled = port.dial(endpoint, {
    data: (bytes) => (listener ? listener.data(bytes) : early.push(bytes)),
    closed: (error) => {
      end = { error };
      listener?.closed(error);
    },
  });
  const stream = await bounded(dialled, timeoutMs, () => {
    dialled.then((late) => late.destroy()).catch(() => undefined);
  });
  const listen = (next: Listener): void => {
    listener = next;
    for (const bytes of early.splice(0)) next.data(bytes);
    if (end) next.closed(end.error);
  };
  const firstBytes = (): Promise<Uint8Array> =>
    new Promise((resolve, reject) => {
      const closed = (error: Error | undefined): void =>
        reject(error ?? new Error("connection closed by the server"));
      const data = (bytes: Uint8Array): void => {
        listener = undefined;
        resolve(bytes);
      };
      listen({ data, closed });
    });
  return { stream, firstBytes, listen };
}

async function bounded<T>(
  pending: Promise<T>,
  timeoutMs: number,
  onTimeout: () => void = () => undefined,
): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const passed = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      onTimeout();
      reject(new Error(`no answer within ${timeoutMs} ms`));
    }, timeoutMs);
  });
  try {
    return await Promise.race([pending, passed]);
  } finally {
    clearTimeout(timer);
  }
}

/** The runtime's words do not always say which of its codes it was. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as { readonly code?: unknown };
  const text = error.message === "" ? error.name : error.message;
  return typeof code !== "string" || text.includes(code) ? text : `${text} (${code})`;
}
