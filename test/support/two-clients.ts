/** The small client and the general one, asked the same thing. */

import { expect } from "bun:test";
import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { DbError } from "../../src/core/db-error.ts";
import type { SslMode, Target } from "../../src/core/target.ts";
import { openConnection } from "../../src/db/connection.ts";
import type { Connection, Result } from "../../src/ports.ts";
import { BUN_WIRE } from "../../src/runtime/bun.ts";
import { openSession } from "../../src/wire/session.ts";
import type { TlsFiles } from "./substrate.ts";

export const PASSWORD = "pa55-of-the-wire";
const TIMEOUT_MS = 3000;

/** Where to, and as whom. */
export interface Wish {
  readonly server: { readonly host: string; readonly port: number };
  /** Another name for the server, or the folder of its Unix socket. */
  readonly host?: string;
  readonly user?: string;
  readonly password?: string;
  readonly database?: string;
  readonly sslMode?: SslMode;
  /** Paths of PEM files. */
  readonly ca?: string;
  readonly client?: TlsFiles;
  readonly allowCleartext?: boolean;
  readonly connectTimeoutMs?: number;
}

export type Ask<T> = (connection: Connection) => Promise<T>;

/** What it gave, or what kind of error it was. The words of a socket's own error are the runtime's. */
export type Outcome<T> =
  | T
  | { readonly kind: string; readonly state: string | undefined; readonly message?: string };

/** Who is there, and whether anybody else can read it. */
export const WHO =
  "select current_user::text as who, coalesce(ssl, false) as tls from pg_stat_ssl where pid = pg_backend_pid()";

function targetOf({ server, ...wish }: Wish): Target {
  const pem = (path: string | undefined): string | undefined =>
    path === undefined ? undefined : readFileSync(path, "utf8");
  return {
    hosts: [{ host: wish.host ?? server.host, port: server.port }],
    user: wish.user ?? "scram_user",
    password: wish.password ?? PASSWORD,
    database: wish.database ?? "postgres",
    sslMode: wish.sslMode ?? "disable",
    sslRootCert: pem(wish.ca),
    sslCert: pem(wish.client?.cert),
    sslKey: pem(wish.client?.key),
    connectTimeoutMs: undefined,
    applicationName: undefined,
    searchPath: undefined,
    allowCleartext: wish.allowCleartext ?? false,
    source: "test",
  };
}

/** Rows and tag: what else is in a result is the session's own. */
export function rowsOf(text: string, deadlineMs?: number): Ask<Pick<Result, "rows" | "tag">> {
  return async (connection) => {
    const { rows, tag } = await connection.run(text, deadlineMs);
    return { rows, tag };
  };
}

/** Asks on a connection of its own. @throws whatever is no word on the database or the network. */
export async function askOne<T>(
  which: "small" | "general",
  wish: Wish,
  ask: Ask<T>,
): Promise<Outcome<T>> {
  const options = {
    target: targetOf(wish),
    applicationName: "wire-test",
    connectTimeoutMs: wish.connectTimeoutMs ?? TIMEOUT_MS,
  };
  const connection = which === "small" ? openSession(BUN_WIRE, options) : openConnection(options);
  try {
    return await ask(connection);
  } catch (error) {
    if (!(error instanceof DbError)) throw error;
    const { kind, message, server } = error;
    const isOurs = kind === "server" || kind === "authentication" || kind === "cleartext";
    return { kind, state: server?.sqlState, ...(isOurs ? { message } : {}) };
  } finally {
    await connection.close();
  }
}

/** Asks both; they must agree. */
export async function askBoth<T>(wish: Wish, ask: Ask<T>): Promise<Outcome<T>> {
  const [small, general] = await Promise.all([
    askOne("small", wish, ask),
    askOne("general", wish, ask),
  ]);
  expect(small).toEqual(general);
  return small;
}

/** As PostgreSQL stores it, so that any iteration count can be asked for on any version. */
export function verifierOf(password: string, iterations: number): string {
  const salt = randomBytes(16);
  const salted = pbkdf2Sync(password, salt, iterations, 32, "sha256");
  const key = (name: string): Buffer => createHmac("sha256", salted).update(name).digest();
  const stored = createHash("sha256").update(key("Client Key")).digest("base64");
  const server = key("Server Key").toString("base64");
  return `SCRAM-SHA-256$${iterations}:${salt.toString("base64")}$${stored}:${server}`;
}

/** mulberry32: the same sequence for the same seed. */
export function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** Flips, drops, repeats or cuts off bytes, in up to three places. */
export function mutate(bytes: Buffer, next: () => number): Buffer {
  let list = [...bytes];
  for (let count = Math.floor(next() * 4); count > 0; count -= 1) {
    const at = Math.floor(next() * list.length);
    const kind = Math.floor(next() * 4);
    if (kind === 0) list[at] = Math.floor(next() * 256);
    if (kind === 1) list.splice(at, 1 + Math.floor(next() * 4));
    if (kind === 2) list.splice(at, 0, ...list.slice(at, at + Math.floor(next() * 16)));
    if (kind === 3) list = list.slice(0, at);
  }
  return Buffer.from(list);
}
