/** Another session that is in the way. */
import postgres from "postgres";
import { stepKey } from "../../src/core/gate-key.ts";

export interface Holder {
  readonly pid: number;
  release(): Promise<void>;
}

/** A transaction that runs this statement and stays open. */
export async function holdOpen(url: string, statement: string): Promise<Holder> {
  const sql = postgres(url, { max: 1, prepare: false, onnotice: () => undefined });
  await sql.unsafe("begin");
  const [row] = await sql.unsafe("select pg_backend_pid() as pid").simple();
  await sql.unsafe(statement);
  return {
    pid: Number(row?.["pid"]),
    release: async () => {
      await sql.unsafe("rollback");
      await sql.end();
    },
  };
}

/** Somebody holds the gate of the default ledger. */
export function holdGate(url: string, schema = "public"): Promise<Holder> {
  const { namespace, ledger } = stepKey({ schema, table: "headgate_migrations" });
  return holdOpen(url, `select pg_advisory_xact_lock(${namespace}, ${ledger})`);
}
