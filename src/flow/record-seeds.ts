/** What was seeded, remembered beside the ledger; and when a ledger allows it. */
import { type Head, tipOf, tipState } from "../core/head.ts";
import type { Ledger, LedgerPlace } from "../core/ledger.ts";
import { type SeedMark, seedsTable } from "../core/seed-mark.ts";
import type { Connection } from "../db/connection.ts";
import { mayNotCreate } from "../db/gate.ts";
import { readTenancy } from "../db/place.ts";
import { createSeeds, forgetSeed, recordSeed } from "../db/seeds.ts";

/** Only at head: behind it tables are missing, and ahead of it a newer binary seeds. */
export function isSeedable(head: Head | undefined, ledger: Ledger): boolean {
  return head === undefined || tipState(head, tipOf(head, ledger)).kind === "at-head";
}

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
