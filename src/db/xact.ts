/** What became of a transaction: the server knows, also when the answer to its COMMIT was lost. */
import type { Connection } from "../ports.ts";

/** Of the transaction that is open; gives it one. */
export async function readXactId(connection: Connection): Promise<string> {
  const { rows } = await connection.run("select pg_current_xact_id()::text as id");
  return String(rows[0]?.["id"]);
}

/** False also for one that the server has forgotten, which takes hundreds of millions of others. */
export async function hasCommitted(connection: Connection, xactId: string): Promise<boolean> {
  const { rows } = await connection.bind("select pg_xact_status($1::text::xid8) as status", [
    xactId,
  ]);
  return rows[0]?.["status"] === "committed";
}
