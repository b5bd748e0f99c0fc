/** Index builds that last as long as a test wants, and what becomes of them. */
import { runKey } from "../../src/core/gate-key.ts";
import { migrationFolder } from "./folder.ts";
import { hold, query, until } from "./query.ts";

const TABLE =
  "create table t (c int);\ninsert into t select generate_series(1, 500);\ncreate table witness (version int, backend int);\n";

/** A table, and a second migration of these statements outside a transaction. */
export function outsideFolder(statements: string, options = ""): string {
  return migrationFolder({
    "0001_table.sql": TABLE,
    "0002_outside.sql": `-- migrate:up transaction:false ${options}\n${statements}\n`,
  });
}

/** The index t_c, and a row that tells how often the statement behind it ran. */
export const BUILD = "create index concurrently t_c on t (c);";
export const WITNESSED: string = `${BUILD}\ninsert into witness values (2, pg_backend_pid());`;

/** No index build ends before this transaction does: its snapshot is older than the index. */
export async function holdSnapshot(url: string): Promise<{ release(): Promise<void> }> {
  const held = await hold(
    url,
    "begin isolation level repeatable read; select count(*) from pg_class",
  );
  return { release: held.end };
}

/** Until somebody's build has made its index and waits for the snapshot. */
export function untilBuilding(url: string, condition = "true"): Promise<void> {
  return until(
    url,
    `select from pg_stat_progress_create_index
where datname = current_database() and phase like 'waiting for old%' and ${condition}`,
    60_000,
  );
}

export async function builderPid(url: string): Promise<number> {
  const [row] = await query(
    url,
    "select pid from pg_stat_progress_create_index where datname = current_database()",
  );
  return Number(row?.["pid"]);
}

/** `valid`, `invalid` or `none`. */
export async function indexState(url: string, index = "t_c"): Promise<string> {
  const [row] = await query(
    url,
    `select indisvalid and indisready as ok from pg_index where indexrelid = to_regclass('${index}')`,
  );
  if (!row) return "none";
  return row["ok"] === true ? "valid" : "invalid";
}

export async function witnesses(url: string): Promise<number> {
  const [row] = await query(url, "select count(*)::int as n from witness");
  return Number(row?.["n"]);
}

/** The row of version 2. */
export async function rowOf(url: string): Promise<Readonly<Record<string, unknown>> | undefined> {
  const [row] = await query(
    url,
    "select state, error, run_id::text, statements_done, lease_until from headgate_migrations where version = 2",
  );
  return row;
}

/** Rows for whoever holds the lock of a migration outside a transaction. */
export function runLockQuery(): string {
  const { namespace, ledger } = runKey({ schema: "public", table: "headgate_migrations" });
  return `select pid from pg_locks where locktype = 'advisory' and granted
and database = (select oid from pg_database where datname = current_database())
and classid = ${namespace >>> 0}::bigint::oid and objid = ${ledger >>> 0}::bigint::oid`;
}
