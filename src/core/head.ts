/**
 * Judges a ledger against a bundle. The states and their precedence are the specification of
 * `probe`, `status` and `up`; `test/unit/head.test.ts` is the table.
 */
import { HeadgateError } from "./error.ts";
import { type Ledger, type LedgerRow, rowsOf, type Tip, type TipRow } from "./ledger.ts";
import type { Migration, NonEmpty } from "./migration.ts";

/** One disagreement between ledger and bundle. */
export interface Drift {
  readonly version: number;
  /** `unknown`: a row below our head that the bundle does not have. */
  readonly why: "checksum" | "history" | "missing" | "unknown";
}

/** Strongest first. Each state carries exactly what its handler needs. */
export type HeadState =
  | { readonly kind: "drifted"; readonly drifts: NonEmpty<Drift> }
  | { readonly kind: "interrupted"; readonly row: LedgerRow }
  | { readonly kind: "running"; readonly row: LedgerRow }
  | { readonly kind: "ahead"; readonly extra: NonEmpty<LedgerRow>; readonly breaking: boolean }
  | { readonly kind: "fresh"; readonly pending: NonEmpty<Migration> }
  | { readonly kind: "behind"; readonly pending: NonEmpty<Migration> }
  | { readonly kind: "at-head" };

/** The bundle's last migration, as much of it as a probe must know. */
export interface Head {
  readonly version: number;
  readonly history: string;
  /** How many migrations the bundle has. */
  readonly size: number;
}

/** As `HeadState`, from the ledger's end alone: no list of pending migrations. */
export type TipState =
  | { readonly kind: "drifted"; readonly drift: Drift }
  | { readonly kind: "interrupted"; readonly row: TipRow }
  | { readonly kind: "running"; readonly row: TipRow }
  | { readonly kind: "ahead"; readonly extra: NonEmpty<TipRow>; readonly breaking: boolean }
  | { readonly kind: "fresh" }
  | { readonly kind: "behind"; readonly at: number }
  | { readonly kind: "at-head" };

/** Whether a database that has more than this bundle counts as ready. */
export type Policy = "at-least" | "exact";

/** The last migration of a bundle, which is ascending by version. */
export function headOf(bundle: NonEmpty<Migration>): Head {
  const last = bundle[bundle.length - 1] ?? bundle[0];
  return { version: last.version, history: last.history, size: bundle.length };
}

/**
 * Reads everything: used inside the gate, and by `status`.
 *
 * @example
 * ```ts ignore
 * headState(bundle, { kind: "absent" }).kind; // "fresh"
 * ```
 */
export function headState(bundle: NonEmpty<Migration>, ledger: Ledger): HeadState {
  const rows = rowsOf(ledger);
  const drifts = driftsOf(bundle, rows);
  if (isNonEmpty(drifts)) return { kind: "drifted", drifts };

  const unfinished = rows.find((row) => row.state !== "applied");
  if (unfinished) return unfinishedState(unfinished);

  const known = new Set(rows.map((row) => row.version));
  const pending = bundle.filter((migration) => !known.has(migration.version));
  if (isNonEmpty(pending)) return { kind: rows.length === 0 ? "fresh" : "behind", pending };

  return aheadOrAtHead(rows.filter((row) => row.version > headOf(bundle).version));
}

/**
 * Reads the end only: the fast path and the probe. The head row's history proves every row below
 * it; rows edited or deleted there by hand are for `headState`.
 */
export function tipState(head: Head, tip: Tip): TipState {
  if (tip.kind === "absent") return { kind: "fresh" };
  if (tip.head && tip.head.history !== head.history) {
    return { kind: "drifted", drift: { version: head.version, why: "history" } };
  }
  if (!tip.head && tip.above.length > 0) {
    return { kind: "drifted", drift: { version: head.version, why: "missing" } };
  }
  const unfinished = [tip.below, tip.head, ...tip.above].find(
    (row) => row !== undefined && row.state !== "applied",
  );
  if (unfinished) return unfinishedState(unfinished);
  if (tip.head) return aheadOrAtHead(tip.above);
  return tip.below ? { kind: "behind", at: tip.below.version } : { kind: "fresh" };
}

/** What a probe sees of this ledger. */
export function tipOf(head: Head, ledger: Ledger): Tip {
  if (ledger.kind === "absent") return ledger;
  return {
    kind: "present",
    head: ledger.rows.find((row) => row.version === head.version),
    above: ledger.rows.filter((row) => row.version > head.version),
    below: ledger.rows.findLast((row) => row.version < head.version),
  };
}

/** Whether the state answers "the schema is there". */
export function isReady(state: HeadState | TipState, policy: Policy): boolean {
  if (state.kind === "at-head") return true;
  return state.kind === "ahead" && policy === "at-least" && !state.breaking;
}

function unfinishedState<Row extends TipRow>(
  row: Row,
): {
  readonly kind: "running" | "interrupted";
  readonly row: Row;
} {
  return { kind: row.state === "running" && row.alive ? "running" : "interrupted", row };
}

function aheadOrAtHead<Row extends TipRow>(
  above: readonly Row[],
):
  | { readonly kind: "at-head" }
  | { readonly kind: "ahead"; readonly extra: NonEmpty<Row>; readonly breaking: boolean } {
  if (!isNonEmpty(above)) return { kind: "at-head" };
  return { kind: "ahead", extra: above, breaking: above.some((row) => row.breaking) };
}

function driftsOf(bundle: NonEmpty<Migration>, rows: readonly LedgerRow[]): readonly Drift[] {
  const byVersion = new Map(rows.map((row) => [row.version, row]));
  const highest = rows.at(-1)?.version ?? -1;
  const ours = new Set(bundle.map((migration) => migration.version));
  const fromBundle = bundle.flatMap((migration): readonly Drift[] => {
    const why = driftOf(migration, byVersion.get(migration.version), highest);
    return why ? [{ version: migration.version, why }] : [];
  });
  const unknown = rows
    .filter((row) => row.version < headOf(bundle).version && !ours.has(row.version))
    .map((row): Drift => ({ version: row.version, why: "unknown" }));
  return [...fromBundle, ...unknown].sort((a, b) => a.version - b.version);
}

function driftOf(
  migration: Migration,
  row: LedgerRow | undefined,
  highest: number,
): Drift["why"] | undefined {
  if (!row) return migration.version < highest ? "missing" : undefined;
  if (row.checksum !== migration.checksum) return "checksum";
  return row.history === migration.history ? undefined : "history";
}

/** Narrows a list whose first element is needed. */
export function isNonEmpty<T>(list: readonly T[]): list is NonEmpty<T> {
  return list.length > 0;
}

/** The bundle, if it has a migration. @throws {HeadgateError} `bundle-invalid` when it has none. */
export function nonEmptyBundle<T>(bundle: readonly T[]): NonEmpty<T> {
  if (isNonEmpty(bundle)) return bundle;
  throw new HeadgateError("Cannot use the migrations: there are none", {
    code: "bundle-invalid",
    hint: "An empty bundle is never at head: name a folder with --dir",
  });
}
