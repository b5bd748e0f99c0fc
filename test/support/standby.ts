/** A streaming standby of a local server, by a copy of its data folder: the npm packages have no pg_basebackup. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import postgres from "postgres";
import { embeddedPostgres, type PostgresMajor } from "./embedded-postgres.ts";
import { type Address, urlOf } from "./postgres-admin.ts";
import { createScratchFolder, writeServerFile } from "./scratch.ts";
import { findFreePort, startProcess } from "./server-process.ts";
import type { PostgresServer } from "./substrate.ts";

export interface Standby extends Address {
  /** Makes it a server of its own; it takes a moment. */
  promote(): void;
  stop(): Promise<void>;
}

/**
 * Read-only, and as new as the primary is at this moment.
 *
 * @param options.isReadable False: it lets nobody in before it is promoted, as a server that is starting up.
 * @throws {Error} when `primary` is no local one.
 */
export async function openStandby(
  primary: PostgresServer,
  { isReadable = true }: { readonly isReadable?: boolean } = {},
): Promise<Standby> {
  if (primary.socketDir === undefined) throw new Error("a standby needs a local primary");
  const folder = createScratchFolder("standby");
  const data = join(folder, "data");
  await backUp(primary, join(primary.socketDir, "data"), data);
  writeServerFile(join(data, "standby.signal"), "");
  const { binDir, env } = embeddedPostgres(Number.parseInt(primary.version, 10) as PostgresMajor);
  const port = await findFreePort();
  const settings = {
    listen_addresses: "127.0.0.1",
    unix_socket_directories: folder,
    max_connections: "150", // not below the primary's, or recovery stops
    dynamic_shared_memory_type: "mmap",
    hot_standby: isReadable ? "on" : "off",
    primary_conninfo: `host=${primary.host} port=${primary.port} user=${primary.user} password=${primary.password}`,
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const args = ["-D", data, "-p", String(port), ...flags];
  const program = { command: join(binDir, "postgres"), args, env, folder };
  const ready = isReadable ? /ready to accept read-only connections/ : /started streaming WAL/;
  const running = await startProcess(program, ready);
  return {
    host: "127.0.0.1",
    port,
    stop: () => running.killTree(),
    promote: () => {
      writeServerFile(join(data, "promote"), "");
      running.signal("SIGUSR1");
    },
  };
}

/** The copy is consistent from the end of the backup on, which the standby reaches by streaming. */
async function backUp(primary: PostgresServer, from: string, to: string): Promise<void> {
  const sql = postgres(urlOf(primary, primary, "postgres"), { max: 1, onnotice() {} });
  try {
    await sql`select pg_backup_start('standby', true)`;
    execFileSync("cp", ["-a", from, to]);
    execFileSync("rm", ["-f", join(to, "postmaster.pid"), join(to, "postmaster.opts")]);
    const [label] = await sql`select labelfile from pg_backup_stop(false)`;
    writeServerFile(join(to, "backup_label"), String(label?.["labelfile"]));
  } finally {
    await sql.end();
  }
}
