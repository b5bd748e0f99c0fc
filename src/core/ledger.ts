/** What the database says was applied, as plain data. Rows come from `db/ledger.ts`. */

/** `running` and `failed` are unfinished. */
export type RowState = "applied" | "running" | "failed";

/** As much of a row as the ledger's end is judged by. */
export interface TipRow {
  readonly version: number;
  readonly name: string;
  /** SHA-256 over the previous row's history, the version and the checksum. */
  readonly history: string;
  readonly state: RowState;
  /** True: a binary that does not know this version must not run against the schema. */
  readonly breaking: boolean;
  /** The run that wrote the row; its statements carry the same token. */
  readonly runId: string | null;
  /** True while somebody alive works on an unfinished row; false for every finished one. */
  readonly alive: boolean;
  /** True when it was finished within the last second: somebody is at work on the ledger. */
  readonly isRecent: boolean;
}

/** One row of the ledger. */
export interface LedgerRow extends TipRow {
  /** SHA-256 of the migration's text, lower-case hex. */
  readonly checksum: string;
  /** Why it is not finished, as the server or the runner put it. */
  readonly error: string | null;
  /** How many statements of a migration outside a transaction are done; 0 for every other. */
  readonly statementsDone: number;
  readonly startedAt: Date | null;
  readonly finishedAt: Date | null;
  readonly durationMs: number | null;
  readonly appliedBy: string | null;
  readonly toolVersion: string | null;
}

/** All rows, ascending by version; `absent` when there is no table. */
export type Ledger =
  | { readonly kind: "absent" }
  | { readonly kind: "present"; readonly rows: readonly LedgerRow[] };

/** The end of the ledger: enough to prove or refute "at head" by one index look-up. */
export type Tip =
  | { readonly kind: "absent" }
  | {
      readonly kind: "present";
      /** The row of the bundle's head, if there is one. */
      readonly head: TipRow | undefined;
      /** Rows above the bundle's head, ascending. */
      readonly above: readonly TipRow[];
      /** The highest row below the bundle's head. */
      readonly below: TipRow | undefined;
    };

/** Where the ledger stands, in the server's own spelling. */
export interface LedgerPlace {
  readonly schema: string;
  readonly table: string;
}

/** The ledger's name as configured. Without a schema it is looked up on the search path. */
export interface LedgerName {
  readonly schema: string | undefined;
  readonly table: string;
}

/** An absent ledger has no rows. */
export function rowsOf(ledger: Ledger): readonly LedgerRow[] {
  return ledger.kind === "absent" ? [] : ledger.rows;
}
