/** PostgreSQL as a process of this machine, on a free port of 127.0.0.1. Also used outside of tests. */
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import {
  embeddedPostgres,
  NEWEST_MAJOR,
  type PostgresBinaries,
  type PostgresMajor,
} from "./embedded-postgres.ts";
import { createDatabase, createRole, SUPERUSER } from "./postgres-admin.ts";
import { createScratchFolder, SERVER_IDENTITY, writeServerFile } from "./scratch.ts";
import { findFreePort, type ServerProcess, startProcess } from "./server-process.ts";
import type { PostgresServer, RestartMode, ServerOptions, TlsFiles } from "./substrate.ts";

const HOST = "127.0.0.1";
const SHUTDOWN_TIMEOUT_MS = 10_000;

/** The signals that ask for these shutdowns. */
const SHUTDOWN_SIGNAL = { fast: "SIGINT", immediate: "SIGQUIT" } as const;

/** `fsync=off`: nothing here outlives the machine. `mmap`: what is left after SIGKILL goes with the folder. */
const DEFAULT_SETTINGS = {
  fsync: "off",
  max_connections: "150",
  listen_addresses: HOST,
  dynamic_shared_memory_type: "mmap",
};

/** Data folders fresh from initdb (0.7 s); copying one takes a tenth of that. */
const templates = new Map<PostgresMajor, string>();

interface Cluster {
  readonly binaries: PostgresBinaries;
  readonly folder: string;
  readonly port: number;
  readonly settings: Readonly<Record<string, string>>;
}

/**
 * @throws {Error} with the end of the server's log, when it does not start.
 */
export async function startLocalPostgres(options: ServerOptions = {}): Promise<PostgresServer> {
  const cluster = await createCluster(options);
  return serverOf(cluster, await startCluster(cluster));
}

async function createCluster(options: ServerOptions): Promise<Cluster> {
  const major = options.version ?? NEWEST_MAJOR;
  const folder = createScratchFolder("postgres");
  execFileSync("cp", ["-a", templateOf(major), join(folder, "data")]);
  if (options.hba !== undefined) prependHba(join(folder, "data", "pg_hba.conf"), options.hba);
  return {
    binaries: embeddedPostgres(major),
    folder,
    port: await findFreePort(),
    settings: {
      ...DEFAULT_SETTINGS,
      unix_socket_directories: folder,
      ...(options.tls === undefined ? {} : installTls(folder, options.tls)),
      ...options.settings,
    },
  };
}

function templateOf(major: PostgresMajor): string {
  const known = templates.get(major);
  if (known !== undefined) return known;
  const data = initdb(embeddedPostgres(major));
  templates.set(major, data);
  return data;
}

function initdb({ binDir, env }: PostgresBinaries): string {
  const folder = createScratchFolder("template");
  const data = join(folder, "data");
  const passwordFile = join(folder, "password");
  writeServerFile(passwordFile, `${SUPERUSER.password}\n`);
  const account = [
    "--username",
    SUPERUSER.user,
    "--pwfile",
    passwordFile,
    "--auth",
    "scram-sha-256",
  ];
  const args = ["--pgdata", data, ...account, "--encoding", "UTF8", "--locale", "C", "--no-sync"];
  const run = spawnSync(join(binDir, "initdb"), args, {
    ...SERVER_IDENTITY,
    cwd: folder,
    env,
    encoding: "utf8",
  });
  if (run.status !== 0) throw new Error(`Cannot run initdb: ${run.error?.message ?? run.stderr}`);
  return data;
}

function prependHba(path: string, lines: readonly string[]): void {
  writeServerFile(path, `${lines.join("\n")}\n${readFileSync(path, "utf8")}`);
}

function installTls(folder: string, tls: TlsFiles): Readonly<Record<string, string>> {
  const install = (name: string, source: string): string => {
    const path = join(folder, name);
    writeServerFile(path, readFileSync(source));
    return path;
  };
  return {
    ssl: "on",
    ssl_ca_file: install("ca.pem", tls.ca),
    ssl_cert_file: install("server.pem", tls.cert),
    ssl_key_file: install("server.key", tls.key),
  };
}

function startCluster({ binaries, folder, port, settings }: Cluster): Promise<ServerProcess> {
  const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const command = join(binaries.binDir, "postgres");
  const args = ["-D", join(folder, "data"), "-p", String(port), ...flags];
  return startProcess({ command, args, env: binaries.env, folder }, /ready to accept connections/);
}

function serverOf(cluster: Cluster, first: ServerProcess): PostgresServer {
  const address = { host: HOST, port: cluster.port };
  let current = first;
  return {
    ...address,
    ...SUPERUSER,
    version: cluster.binaries.version,
    socketDir: cluster.folder,
    createDatabase: () => createDatabase(address),
    createRole: (options) => createRole(address, options),
    async restart(mode = "fast") {
      await shutDown(current, mode);
      current = await startCluster(cluster);
    },
    async stop() {
      await shutDown(current, "fast");
      releaseSharedMemory(cluster);
      rmSync(cluster.folder, { recursive: true, force: true });
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

/** Within bounds: a backend that does not end must not hang the test run. */
async function shutDown(server: ServerProcess, mode: RestartMode): Promise<void> {
  server.signalTree("SIGCONT");
  server.signal(SHUTDOWN_SIGNAL[mode]);
  const timer = setTimeout(() => void server.killTree(), SHUTDOWN_TIMEOUT_MS);
  await server.exited;
  clearTimeout(timer);
}

/** A killed server leaves its lock file, whose line 7 names a System V segment that nothing else gives back. */
function releaseSharedMemory({ folder }: Cluster): void {
  try {
    const line = readFileSync(join(folder, "data", "postmaster.pid"), "utf8").split("\n")[6];
    const id = line?.trim().split(/\s+/)[1];
    if (id !== undefined) spawnSync("ipcrm", ["-m", id]);
  } catch {
    // No lock file: the shutdown was clean, or the folder is gone already.
  }
}
