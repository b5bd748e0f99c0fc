/** Bundles and ledgers as values, for the tests of what is decided about them. */
import { buildBundle } from "../../src/core/bundle.ts";
import { isNonEmpty } from "../../src/core/head.ts";
import type { Ledger, LedgerRow, Tip } from "../../src/core/ledger.ts";
import type { Migration, NonEmpty } from "../../src/core/migration.ts";

/** One small migration per version. */
export function bundleOf(...versions: readonly number[]): NonEmpty<Migration> {
  const files = versions.map((n) => ({ file: `${n}_m${n}.sql`, text: `select ${n};\n` }));
  const bundle = buildBundle(files, "./migrations");
  if (isNonEmpty(bundle)) return bundle;
  throw new Error("a bundle needs a version");
}

/** The row that applying this migration leaves, but for `changes`. */
export function rowFor(migration: Migration, changes: Partial<LedgerRow> = {}): LedgerRow {
  const { version, name, checksum, history } = migration;
  return {
    ...{ version, name, checksum, history },
    state: "applied",
    error: null,
    statementsDone: 0,
    breaking: false,
    runId: "00000000-0000-4000-8000-000000000001",
    alive: false,
    isRecent: false,
    startedAt: new Date("2026-01-02T03:04:05.000Z"),
    finishedAt: new Date("2026-01-02T03:04:06.500Z"),
    durationMs: 1500,
    appliedBy: "app@host:1",
    toolVersion: "0.1.0",
    ...changes,
  };
}

/** A row that no bundle of the test has. */
export function foreignRow(version: number, changes: Partial<LedgerRow> = {}): LedgerRow {
  return rowFor(bundleOf(version)[0], { name: "theirs", ...changes });
}

export function present(...rows: readonly LedgerRow[]): Ledger {
  return { kind: "present", rows: [...rows].sort((a, b) => a.version - b.version) };
}

/** What a reader of the ledger's end would be given. */
export function tipOf(ledger: Ledger, headVersion: number): Tip {
  if (ledger.kind === "absent") return ledger;
  return {
    kind: "present",
    head: ledger.rows.find((row) => row.version === headVersion),
    above: ledger.rows.filter((row) => row.version > headVersion),
    below: ledger.rows.filter((row) => row.version < headVersion).at(-1),
  };
}
