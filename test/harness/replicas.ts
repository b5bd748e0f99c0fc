/** The symptom: replicas start behind a pooler, one was killed. Those that lock by session, then headgate's. */
import { migrationFolder } from "../support/folder.ts";
import { headgate } from "../support/headgate.ts";
import { query } from "../support/query.ts";
import { type OldEnd, showOldReplica } from "./old-replica.ts";
import type { Stack } from "./stack.ts";

const KEY = "42424242424242";

export interface SymptomReport {
  readonly old: readonly OldEnd[];
  readonly headgate: readonly { readonly status: number; readonly wallMs: number }[];
  /** Advisory locks that each of them left behind. */
  readonly leftByOld: number;
  readonly leftByHeadgate: number;
  /** Rows of pg_stat_activity and pg_locks while the old ones hang. */
  readonly dump: readonly unknown[];
}

export async function showSymptom(stack: Stack, replicas: number): Promise<SymptomReport> {
  await empty(stack.direct);
  await query(stack.pooled, `select pg_advisory_lock(${KEY})`); // a replica that was killed with the lock
  const job = showOldReplica(stack.direct, KEY); // whoever comes past the pooler never gets it
  const old = await Promise.all([
    job,
    ...Array.from({ length: replicas - 1 }, () => showOldReplica(stack.pooled, KEY)),
  ]);
  const dump = await query(stack.direct, DUMP);
  const leftByOld = await locksAt(stack.direct);
  await query(stack.direct, END);
  await empty(stack.direct);
  const dir = migrationFolder({ "1_a.sql": "create table a ();", "2_b.sql": "create table b ();" });
  const env = { DATABASE_URL: stack.pooled };
  const ours = Array.from({ length: replicas }, () => headgate(["up", "--dir", dir], { env }));
  const ends = await Promise.all(ours);
  return {
    old,
    headgate: ends.map(({ status, wallMs }) => ({ status, wallMs })),
    leftByOld,
    leftByHeadgate: await locksAt(stack.direct),
    dump,
  };
}

const DUMP = `select l.pid, l.granted, a.state, a.wait_event, a.client_port, left(a.query, 60) as query
from pg_locks l join pg_stat_activity a using (pid) where l.locktype = 'advisory'`;
const END = `select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted
and (classid::bigint << 32) + objid::bigint = ${KEY}`;

async function locksAt(url: string): Promise<number> {
  const [row] = await query(
    url,
    "select count(*)::int as n from pg_locks where locktype = 'advisory'",
  );
  return Number(row?.["n"]);
}

async function empty(url: string): Promise<void> {
  await query(url, "drop schema public cascade; create schema public");
}
