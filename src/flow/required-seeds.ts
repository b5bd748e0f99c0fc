/** Whether what a version seeds is recorded as seeded: for `probe` and `status`, which only read. */
import type { LedgerName } from "../core/ledger.ts";
import { type SeedMark, type SeedRecord, seedState, seedsTable } from "../core/seed-mark.ts";
import { resolvePlace } from "../db/place.ts";
import { readRbacCatalog } from "../db/rbac-catalog.ts";
import { readSeeds } from "../db/seeds.ts";
import type { Connection } from "../ports.ts";

/** What must be recorded. */
export interface RequiredSeeds {
  /** `auto`: the gateway's only where its tables are. */
  readonly mode: "auto" | "rbac";
  readonly rbac: readonly SeedMark[];
  readonly custom: SeedMark | undefined;
}

/**
 * Why the seeds are stale; undefined: they are there, or a newer version's are.
 *
 * @param searchPath Looked along instead of the session's, when given.
 */
export async function staleSeeds(
  connection: Connection,
  ledger: LedgerName,
  required: RequiredSeeds,
  searchPath: string | undefined,
): Promise<string | undefined> {
  const records = await readSeeds(connection, seedsTable(ledger));
  const custom = required.custom && problemOf(required.custom, records);
  if (custom !== undefined) return custom;
  const isNewer = required.rbac.some((mark) => seedState(mark, records) === "newer");
  const problem = isNewer
    ? undefined
    : required.rbac.map((mark) => problemOf(mark, records)).find((text) => text !== undefined);
  if (problem === undefined || required.mode === "rbac") return problem;
  const place = await resolvePlace(connection, ledger, searchPath);
  const { missing } = await readRbacCatalog(connection, seedsTable(place), searchPath);
  return missing.length === 0 ? problem : undefined;
}

function problemOf(mark: SeedMark, records: readonly SeedRecord[]): string | undefined {
  if (seedState(mark, records) !== "stale") return undefined;
  const record = records.find(({ name }) => name === mark.name);
  if (!record) return `seeds ${mark.name} have never been recorded`;
  return record.number < mark.number
    ? `seeds ${mark.name} are of version ${record.number}, and this version has ${mark.number}`
    : `seeds ${mark.name} are recorded with another content`;
}
