/** The mechanism: a session-level lock outlives its client behind a transaction pooler; a transaction-level one does not. */
import postgres from "postgres";
import { query } from "../support/query.ts";
import type { Stack } from "./stack.ts";

/** Nobody else's. */
const KEY = "7305810911";
const HELD = `select count(*)::int as n, min(pid) as pid from pg_locks
where locktype = 'advisory' and (classid::bigint << 32) + objid::bigint = ${KEY} and granted`;

export interface OrphanFacts {
  /** Locks held after the client that took a session-level one has left. */
  readonly heldAfterLeaving: number;
  /** What a direct session gets while a pooled one may get it again. */
  readonly directGetsIt: boolean;
  readonly heldAfterTransaction: number;
}

/** Ends the session that it has orphaned. */
export async function showOrphan({ direct, pooled }: Stack): Promise<OrphanFacts> {
  try {
    await query(pooled, `select pg_advisory_lock(${KEY})`);
    const [left] = await query(direct, HELD);
    const [tried] = await query(direct, `select pg_try_advisory_lock(${KEY}) as got`);
    await query(direct, endOrphan());
    await inTransaction(pooled);
    const [after] = await query(direct, HELD);
    return {
      heldAfterLeaving: Number(left?.["n"]),
      directGetsIt: tried?.["got"] === true,
      heldAfterTransaction: Number(after?.["n"]),
    };
  } finally {
    await query(direct, endOrphan());
  }
}

async function inTransaction(url: string): Promise<void> {
  const sql = postgres(url, { max: 1, prepare: false });
  await sql.unsafe(`begin; select pg_advisory_xact_lock(${KEY}); commit`).simple();
  await sql.end();
}

function endOrphan(): string {
  return `select pg_terminate_backend(pid) from (${HELD}) held where pid is not null`;
}
