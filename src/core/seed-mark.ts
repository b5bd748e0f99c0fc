/** "Seeded?" as one comparison: what a binary would seed against what is recorded. */

import type { LedgerName } from "./ledger.ts";

/** What is seeded: `rbac` the embedded roles, `rbac-file` a roles file, `custom` a folder. */
export type SeedName = "rbac" | "rbac-file" | "custom";

/** A definition of rows, without any value of the environment. */
export interface SeedMark {
  readonly name: SeedName;
  /** Rises with every change of the embedded definition; 0 for what comes from files. */
  readonly number: number;
  /** SHA-256, lower-case hex. */
  readonly fingerprint: string;
}

/** A row of the seeds table. */
export interface SeedRecord {
  readonly name: string;
  readonly number: number;
  readonly fingerprint: string;
  readonly finishedAt: Date | null;
}

/** `newer`: a later binary was here, and this one must not undo its work. */
export type SeedState = "seeded" | "stale" | "newer";

/** How the record of a definition stands to it. */
export function seedState(mark: SeedMark, records: readonly SeedRecord[]): SeedState {
  const record = records.find(({ name }) => name === mark.name);
  if (!record || record.number < mark.number) return "stale";
  if (record.number > mark.number) return "newer";
  return record.fingerprint === mark.fingerprint ? "seeded" : "stale";
}

const LEDGER_SUFFIX = /_migrations$/;
/** The server cuts longer names. */
const NAME_LIMIT_BYTES = 63;
const SEEDS_SUFFIX = "_seeds";

/**
 * The table beside a ledger that remembers what was seeded.
 *
 * @example `headgate_migrations` has `headgate_seeds`, `billing` has `billing_seeds`
 */
export function seedsTable<Name extends LedgerName>(ledger: Name): Name {
  const base = new TextEncoder().encode(ledger.table.replace(LEDGER_SUFFIX, ""));
  const kept = base.slice(0, NAME_LIMIT_BYTES - SEEDS_SUFFIX.length);
  const table = new TextDecoder().decode(kept).replace(/\uFFFD+$/, "") + SEEDS_SUFFIX;
  return { ...ledger, table };
}
