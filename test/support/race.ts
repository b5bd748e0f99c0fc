/** Many processes at once on one database, and what they left behind. */
import postgres from "postgres";
import { headgate, type Run, type RunOptions, start } from "./headgate.ts";

export interface Race {
  readonly runs: readonly Run[];
  readonly totalMs: number;
}

/** Starts them as fast as the machine can and waits for all. */
export async function race(
  count: number,
  args: readonly string[],
  options: RunOptions,
): Promise<Race> {
  const startMs = performance.now();
  const runs = await Promise.all(Array.from({ length: count }, () => start(args, options).done));
  return { runs, totalMs: performance.now() - startMs };
}

/** What as many processes cost that only say their version, or only connect, ask and leave. */
export async function startUpMs(
  count: number,
  args: readonly string[] = ["version"],
  options: RunOptions = {},
): Promise<number> {
  const { totalMs } = await race(count, args, options);
  return totalMs;
}

/** What one process needs when nobody is in its way. */
export async function aloneMs(args: readonly string[], options: RunOptions): Promise<number> {
  const { status, wallMs, stderr } = await headgate(args, options);
  if (status !== 0) throw new Error(`alone it failed with ${status}: ${stderr}`);
  return wallMs;
}

/** One row per application, written by the migrations themselves in their own transactions. */
export interface Witness {
  readonly version: number;
  readonly pid: number;
}

/**
 * Migrations that tell who applied them. No primary key and no IF NOT EXISTS: a second application
 * is either an error or a second row.
 */
export function witnessMigrations(count: number): Readonly<Record<string, string>> {
  const files: Record<string, string> = {
    "0001_witness.sql":
      "create table witness (version int, backend int, at timestamptz default clock_timestamp());\ninsert into witness values (1, pg_backend_pid());\n",
  };
  for (let version = 2; version <= count; version += 1) {
    files[`${String(version).padStart(4, "0")}_step.sql`] =
      `create table step_${version} (id bigint primary key, note text);\ninsert into witness values (${version}, pg_backend_pid());\n`;
  }
  return files;
}

export interface Aftermath {
  /** Versions in the order in which they were applied. */
  readonly applied: readonly number[];
  readonly advisoryLocks: number;
  /** Backends that hold a transaction open. */
  readonly idleInTransaction: number;
}

/** Asked on a connection of its own, past any pooler. */
export async function aftermath(url: string): Promise<Aftermath> {
  const sql = postgres(url, { max: 1, prepare: false, onnotice: () => undefined });
  try {
    const rows = await sql`select version from witness order by at`;
    const [locks] = await sql`select count(*)::int as n from pg_locks where locktype = 'advisory'
      and database = (select oid from pg_database where datname = current_database())`;
    const [idle] = await sql`select count(*)::int as n from pg_stat_activity
      where datname = current_database() and state like 'idle in transaction%'`;
    return {
      applied: rows.map((row) => Number(row["version"])),
      advisoryLocks: Number(locks?.["n"]),
      idleInTransaction: Number(idle?.["n"]),
    };
  } finally {
    await sql.end();
  }
}

/** Version → how many processes say that they applied it. */
export function appliers(runs: readonly Run[]): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  for (const run of runs) {
    for (const event of run.events) {
      if (event.event !== "migration.applied") continue;
      const version = Number(event["version"]);
      counts.set(version, (counts.get(version) ?? 0) + 1);
    }
  }
  return counts;
}
