/** What was seeded, remembered beside the ledger. */
import { HeadgateError } from "../core/error.ts";
import type { LedgerPlace } from "../core/ledger.ts";
import { type SeedMark, seedsTable } from "../core/seed-mark.ts";
import { mayNotCreate } from "../db/ledger-create.ts";
import { readTenancy } from "../db/place.ts";
import { createSeeds, forgetSeed, recordSeed } from "../db/seeds.ts";
import type { Connection } from "../ports.ts";

/**
 * In the transaction that seeded. The table is made when it is missing.
 *
 * @throws {HeadgateError} `privilege-missing` with the statement that cures it
 */
export async function recordSeeds(
  connection: Connection,
  place: LedgerPlace,
  record: { readonly marks: readonly SeedMark[]; readonly forgets: readonly string[] },
): Promise<void> {
  if (record.marks.length === 0 && record.forgets.length === 0) return;
  const seeds = seedsTable(place);
  const tenancy = await readTenancy(connection, seeds);
  if (!tenancy.exists) {
    if (!tenancy.mayCreate) throw mayNotCreate("the seeds table", seeds, tenancy);
    await createSeeds(connection, seeds);
  }
  for (const mark of record.marks) await recordSeed(connection, seeds, mark);
  for (const name of record.forgets) await forgetSeed(connection, seeds, name);
}

/** For a database that takes back what was committed: another round would end the same way. */
export function notKept(what: string): HeadgateError {
  return new HeadgateError(`Cannot seed: the database does not keep ${what}`, {
    code: "seed-failed",
    hint: "Look for a trigger or a rule on the gateway's tables that swallows or reverts writes",
  });
}
