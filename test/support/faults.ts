/** Moments at which something is done to a runner, and what must be true when it is over. */
import { expect } from "bun:test";
import { migrationFolder } from "./folder.ts";
import { eventOf, headgate, type Run, type RunOptions, withUrl } from "./headgate.ts";
import { buildMutant, type Mutation } from "./mutant.ts";
import { query, until } from "./query.ts";
import { aftermath } from "./race.ts";

/**
 * Three migrations. The second one has written before it sleeps.
 *
 * @param seconds A number, or an SQL expression.
 */
export function sleepyFolder(seconds: number | string): string {
  return migrationFolder({
    "0001_witness.sql":
      "create table witness (version int, backend int, at timestamptz default clock_timestamp());\ninsert into witness values (1, pg_backend_pid());\n",
    "0002_sleepy.sql": `create table half_done ();\nselect pg_sleep(${seconds});\ninsert into witness values (2, pg_backend_pid());\n`,
    "0003_after.sql": "insert into witness values (3, pg_backend_pid());\n",
  });
}

const OF_HERE = "from pg_stat_activity where datname = current_database()";
/** Rows for whoever runs the second migration of `sleepyFolder`. */
export const ASLEEP: string = `${OF_HERE} and wait_event = 'PgSleep'`;
/** Rows for a runner whose statement is over and who says nothing more. */
export const IDLE_IN_GATE: string = `${OF_HERE} and application_name = 'headgate' and state = 'idle in transaction'`;

const NO_LOCK = `select where not exists (select from pg_locks where locktype = 'advisory'
  and database = (select oid from pg_database where datname = current_database()))`;

export function untilAsleep(url: string): Promise<void> {
  return until(url, `select ${ASLEEP}`, 30_000);
}

/** Until no advisory lock of this database is held. */
export function untilUnlocked(url: string, timeoutMs: number): Promise<void> {
  return until(url, NO_LOCK, timeoutMs);
}

/** The next `up` ends well; each migration was applied once, in order, and nothing is left open. */
export async function expectConverged(url: string, dir: string): Promise<void> {
  const run = await headgate(["up", "--dir", dir], withUrl(url));
  expect([run.status, run.stderr]).toEqual([0, expect.not.stringContaining("command.failed")]);
  await untilUnlocked(url, 10_000);
  expect((await aftermath(url)).applied).toEqual([1, 2, 3]);
  const [ledger] = await query(
    url,
    "select array_agg(version::int order by version) as versions from headgate_migrations where state = 'applied'",
  );
  expect(ledger?.["versions"]).toEqual([1, 2, 3]);
}

/** Runs with a broken headgate, which is removed again. */
export async function withMutant<T>(
  mutations: readonly Mutation[],
  use: (options: Pick<RunOptions, "binary">) => Promise<T>,
): Promise<T> {
  const { binary, remove } = await buildMutant(...mutations);
  try {
    return await use({ binary });
  } finally {
    remove();
  }
}

/** The reason and the next step of a command that failed. */
export function lastWords(run: Run): { readonly reason: string; readonly hint: string } {
  const failed = eventOf(run, "command.failed");
  return { reason: String(failed?.["reason"]), hint: String(failed?.["hint"]) };
}
