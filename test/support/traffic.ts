/** Other clients of a table, and how long the slowest of their statements had to wait. */
import postgres from "postgres";

const CLIENTS = 2;
const PAUSE_MS = 10;

export interface Traffic {
  /** The longest wait in milliseconds, less what a statement took at worst that waits for nobody. */
  stop(): Promise<number>;
}

/** Sends a text again and again, from two connections, until it is told to stop. */
export function traffic(url: string, text: string): Traffic {
  let isStopped = false;
  const client = async (statement: string): Promise<number> => {
    const sql = postgres(url, { max: 1, prepare: false, onnotice: () => undefined });
    await sql.unsafe("select 1");
    let longestMs = 0;
    while (!isStopped) {
      const startMs = performance.now();
      await sql.unsafe(statement).simple();
      longestMs = Math.max(longestMs, performance.now() - startMs);
      await Bun.sleep(PAUSE_MS);
    }
    await sql.end();
    return longestMs;
  };
  const clients = Array.from({ length: CLIENTS }, () => client(text));
  const control = client("select 1");
  return {
    stop: async () => {
      isStopped = true;
      return Math.max(...(await Promise.all(clients))) - (await control);
    },
  };
}
