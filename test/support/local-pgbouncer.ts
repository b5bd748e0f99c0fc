/** PgBouncer as a process of this machine, on a free port of 127.0.0.1. */
import { spawnSync } from "node:child_process";
import { accessSync, constants, rmSync } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";
import { renderPgbouncerIni, renderUserlist } from "./pgbouncer-config.ts";
import { askPgbouncer, atAddress, SUPERUSER } from "./postgres-admin.ts";
import { createScratchFolder, writeServerFile } from "./scratch.ts";
import { findFreePort, type ServerProcess, startProcess } from "./server-process.ts";
import type { Pgbouncer, PgbouncerOptions, PostgresServer } from "./substrate.ts";

const HOST = "127.0.0.1";

/**
 * @throws {Error} when PgBouncer is not installed; with the end of its log, when it does not start.
 */
export async function startLocalPgbouncer(
  target: PostgresServer,
  options: PgbouncerOptions = {},
): Promise<Pgbouncer> {
  const { command, args } = options.program ?? { command: findPgbouncer(), args: [] };
  const folder = createScratchFolder("pgbouncer");
  const address = { host: HOST, port: await findFreePort() };
  const userlist = join(folder, "userlist.txt");
  const ini = join(folder, "pgbouncer.ini");
  writeServerFile(userlist, renderUserlist([SUPERUSER, ...(options.users ?? [])]));
  writeServerFile(ini, renderPgbouncerIni({ target, listen: address, userlist, options }));
  const env = { PATH: process.env["PATH"], LC_ALL: "C" };
  const start = (): Promise<ServerProcess> =>
    startProcess({ command, args: [...args, ini], env, folder }, /process up/);
  const facts = { ...address, version: readVersion(command, args), folder, start };
  return pgbouncerOf(await start(), facts);
}

interface Facts {
  readonly host: string;
  readonly port: number;
  readonly version: string;
  readonly folder: string;
  readonly start: () => Promise<ServerProcess>;
}

/** It stops by SIGKILL: it holds nothing to save, and what SIGINT and SIGTERM wait for differs between versions. */
function pgbouncerOf(first: ServerProcess, facts: Facts): Pgbouncer {
  const { host, port, version, folder } = facts;
  let current = first;
  return {
    host,
    port,
    version,
    urlOf: (database) => atAddress(database.url, { host, port }),
    admin: (command) => askPgbouncer({ host, port }, command),
    async shutDownSafely() {
      current.signal("SIGINT");
      await current.exited;
    },
    async restart() {
      await current.killTree();
      current = await facts.start();
    },
    async stop() {
      await current.killTree();
      rmSync(folder, { recursive: true, force: true });
    },
    kill: () => current.killTree(),
    async pause() {
      current.signalTree("SIGSTOP");
    },
    async resume() {
      current.signalTree("SIGCONT");
    },
  };
}

/** Debian installs it where only root's PATH leads. */
function findPgbouncer(): string {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin"];
  const found = folders.map((folder) => join(folder, "pgbouncer")).find(isExecutable);
  if (found === undefined) throw new Error("PgBouncer is not installed: apt-get install pgbouncer");
  return found;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function readVersion(command: string, args: readonly string[]): string {
  const { stdout } = spawnSync(command, [...args, "--version"], { encoding: "utf8" });
  return /\d+(?:\.\d+)+/.exec(stdout ?? "")?.[0] ?? "unknown";
}
