/** Decides what becomes of a migration that ran outside a transaction and lost its runner. */
import { buildStatements, isRepeatable } from "./build-step.ts";
import { decideUp, type UpDecision, type UpWish } from "./decide.ts";
import type { HeadState } from "./head.ts";
import type { LedgerRow } from "./ledger.ts";
import type { Migration } from "./migration.ts";

/** What `up` does next, with the whole ledger and the bundle at hand. */
export type FullDecision =
  | UpDecision
  | { readonly kind: "resume"; readonly migration: Migration; readonly row: LedgerRow };

/** As `decideUp`, but what this runner can finish by itself is not refused. */
export function decideUpOrResume(
  bundle: readonly Migration[],
  state: HeadState,
  wish: UpWish,
): FullDecision {
  if (state.kind === "interrupted") {
    const { row } = state;
    const migration = bundle.find(({ version }) => version === row.version);
    const isWished = wish.to === undefined || row.version <= wish.to;
    if (migration && isWished && isResumable(migration, row)) {
      return { kind: "resume", migration, row };
    }
  }
  return decideUp(state, wish);
}

/**
 * Only the statement behind the last one that is recorded may have begun. True when repeating that
 * one is safe, or when nothing but the last word in the ledger is missing.
 */
export function isResumable(migration: Migration, row: LedgerRow): boolean {
  if (migration.options.transaction || row.state !== "running") return false;
  const statements = buildStatements(migration.up);
  const next = statements[row.statementsDone];
  return next === undefined ? row.statementsDone === statements.length : isRepeatable(next.step);
}
