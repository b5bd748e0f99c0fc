/** What a test asks of a server besides running: databases and roles, the same on every substrate. */
import { randomBytes } from "node:crypto";
import postgres from "postgres";
import type { Credentials, Database, RoleOptions } from "./substrate.ts";

export const SUPERUSER: Credentials = { user: "app", password: "pw" };

export interface Address {
  readonly host: string;
  readonly port: number;
}

export function urlOf(address: Address, { user, password }: Credentials, database: string): string {
  const login = `${encodeURIComponent(user)}:${encodeURIComponent(password)}`;
  return `postgres://${login}@${address.host}:${address.port}/${database}`;
}

/** The same URL with another host and port. */
export function atAddress(url: string, { host, port }: Address): string {
  const moved = new URL(url);
  moved.hostname = host;
  moved.port = String(port);
  return moved.href;
}

/** Of `template0`: nobody can be connected to it, which would make the statement fail. */
export async function createDatabase(address: Address): Promise<Database> {
  const name = uniqueName("db");
  await runAsSuperuser(address, `create database ${name} template template0`);
  return { name, url: urlOf(address, SUPERUSER, name) };
}

export async function createRole(
  address: Address,
  options: RoleOptions = {},
): Promise<Credentials> {
  const user = uniqueName("role");
  const password = options.password ?? "pw";
  const literal = `'${password.replaceAll("'", "''")}'`;
  await runAsSuperuser(
    address,
    `create role ${user} login password ${literal} ${options.attributes ?? ""}`,
  );
  return { user, password };
}

export async function readServerVersion(address: Address): Promise<string> {
  const [row] = await runAsSuperuser(address, "show server_version");
  return String(row?.["server_version"]).split(" ")[0] ?? "";
}

/** On PgBouncer's console, which knows no prepared statements and none of the server's tables. */
export async function askPgbouncer(address: Address, command: string): Promise<void> {
  const url = urlOf(address, SUPERUSER, "pgbouncer");
  const sql = postgres(url, { max: 1, prepare: false, fetch_types: false, onnotice() {} });
  try {
    await sql.unsafe(command).simple();
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** On a connection of its own: none stays open that a test would see, or that a restart would break. */
async function runAsSuperuser(address: Address, statement: string): Promise<postgres.Row[]> {
  const url = urlOf(address, SUPERUSER, "postgres");
  const sql = postgres(url, { max: 1, prepare: false, connect_timeout: 10, onnotice() {} });
  try {
    return [...(await sql.unsafe(statement))];
  } finally {
    await sql.end();
  }
}

/** Unique on the server over all runs; needs no quotes. */
function uniqueName(prefix: string): string {
  return `${prefix}_${randomBytes(6).toString("hex")}`;
}
