/** A replica as many tools make one: it tries a session-level lock again and again, works, and unlocks. */
import postgres from "postgres";

/** Ten minutes in the field; shortened, for whoever waits for the result. */
const TRIES = 12;
const PAUSE_MS = 250;

export interface OldEnd {
  /** `migrated`, or `gave up`: it would hang until its time is over. */
  readonly end: "migrated" | "gave up";
  readonly tries: number;
  /** False: the unlock went to another session, and the lock stays. */
  readonly unlocked: boolean | undefined;
}

export async function showOldReplica(url: string, key: string): Promise<OldEnd> {
  const sql = postgres(url, { max: 1, prepare: false, onnotice() {} });
  try {
    for (let tries = 1; tries <= TRIES; tries += 1) {
      const [row] = await sql.unsafe(`select pg_try_advisory_lock(${key}) as got`);
      if (row?.["got"] === true) {
        // Who enters with another one loses the race for the name at times: it is in all the same.
        await sql
          .unsafe("create table if not exists migrated_by_old (n int)")
          .simple()
          .catch((error: Error) => {
            if (!/already exists|duplicate key/.test(error.message)) throw error;
          });
        const [unlock] = await sql.unsafe(`select pg_advisory_unlock(${key}) as done`);
        return { end: "migrated", tries, unlocked: unlock?.["done"] === true };
      }
      await Bun.sleep(PAUSE_MS);
    }
    return { end: "gave up", tries: TRIES, unlocked: undefined };
  } finally {
    await sql.end();
  }
}
