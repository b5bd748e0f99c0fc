/** One question to a database as any other client asks it: past the product, to see what the product did. */
import postgres from "postgres";

/** On a connection of its own that is closed again; several statements give the last one's rows. */
export async function query(url: string, text: string): Promise<postgres.Row[]> {
  const sql = postgres(url, { max: 1, prepare: false, connect_timeout: 10, onnotice() {} });
  try {
    const results = await sql.unsafe(text).simple();
    const last: unknown = Array.isArray(results[0]) ? results.at(-1) : results;
    return [...(last as postgres.Row[])];
  } finally {
    await sql.end();
  }
}

/** The tables of a database that are not the system's, as `schema.table`, sorted. */
export async function tablesOf(url: string): Promise<string[]> {
  const rows = await query(
    url,
    `select schemaname || '.' || tablename as name from pg_tables
where schemaname not in ('pg_catalog', 'information_schema')`,
  );
  return rows.map((row) => String(row["name"])).sort();
}

/** The same URL as another role. */
export function asRole(url: string, role: { user: string; password: string }): string {
  const changed = new URL(url);
  changed.username = encodeURIComponent(role.user);
  changed.password = encodeURIComponent(role.password);
  return changed.href;
}

export interface Held {
  readonly pid: number;
  end(): Promise<void>;
}

/** A session that has run `text` and then stays open and idle, with whatever locks that took. */
export async function hold(
  url: string,
  text: string,
): Promise<Held & { run(more: string): Promise<void> }> {
  const sql = postgres(url, { max: 1, prepare: false, idle_timeout: 0, onnotice() {} });
  await sql.unsafe(text).simple();
  const [row] = await sql.unsafe("select pg_backend_pid() as pid").simple();
  return {
    pid: Number(row?.["pid"]),
    run: async (more) => void (await sql.unsafe(more).simple()),
    end: () => sql.end({ timeout: 0 }),
  };
}

/** Asks again and again until a row comes. @throws {Error} when none has come in time. */
export async function until(url: string, text: string, timeoutMs = 10_000): Promise<void> {
  const sql = postgres(url, { max: 1, prepare: false, onnotice() {} });
  const endMs = performance.now() + timeoutMs;
  try {
    while ((await sql.unsafe(text)).length === 0) {
      if (performance.now() > endMs) throw new Error(`no row within ${timeoutMs} ms: ${text}`);
      await Bun.sleep(20);
    }
  } finally {
    await sql.end();
  }
}
