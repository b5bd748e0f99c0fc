/** What a command does about a head state. The same functions judge before the gate and inside it. */
import { HeadgateError } from "./error.ts";
import { type Drift, type HeadState, isNonEmpty, type Policy } from "./head.ts";
import type { LedgerRow } from "./ledger.ts";
import type { Migration, NonEmpty } from "./migration.ts";
import { resolveCommand } from "./resolve.ts";

/** What `up` does next. */
export type UpDecision =
  | { readonly kind: "nothing" }
  | { readonly kind: "apply"; readonly pending: NonEmpty<Migration> }
  | { readonly kind: "wait"; readonly row: LedgerRow }
  | { readonly kind: "refuse"; readonly error: HeadgateError };

/** What the command line asks of `up` and `plan`. */
export interface UpWish {
  readonly policy: Policy;
  /** Apply nothing above this version. */
  readonly to: number | undefined;
}

/** Precedence is the head state's own; this only says what follows from each state. */
export function decideUp(state: HeadState, wish: UpWish): UpDecision {
  switch (state.kind) {
    case "at-head":
      return { kind: "nothing" };
    case "fresh":
    case "behind": {
      const pending = state.pending.filter((m) => wish.to === undefined || m.version <= wish.to);
      return isNonEmpty(pending) ? { kind: "apply", pending } : { kind: "nothing" };
    }
    case "running":
      return { kind: "wait", row: state.row };
    case "ahead":
      return isAccepted(state, wish.policy)
        ? { kind: "nothing" }
        : { kind: "refuse", error: aheadError(state, wish.policy) };
    case "interrupted":
      return { kind: "refuse", error: interruptedError(state.row) };
    case "drifted":
      return { kind: "refuse", error: driftedError(state.drifts) };
  }
}

/**
 * The error for a state that a command cannot accept as "the schema is there".
 *
 * @param state Anything that `isReady` refuses.
 */
export function notReadyError(
  state: Exclude<HeadState, { readonly kind: "at-head" }>,
  policy: Policy,
): HeadgateError {
  switch (state.kind) {
    case "fresh":
    case "behind":
      return behindError(state.pending);
    case "running":
      return runningError(state.row);
    case "interrupted":
      return interruptedError(state.row);
    case "ahead":
      return aheadError(state, policy);
    case "drifted":
      return driftedError(state.drifts);
  }
}

function isAccepted(state: { readonly breaking: boolean }, policy: Policy): boolean {
  return policy === "at-least" && !state.breaking;
}

function behindError(pending: NonEmpty<Migration>): HeadgateError {
  return new HeadgateError(
    `Cannot call the schema ready: ${pending.length} of its migrations are pending, first ${pending[0].file}`,
    {
      code: "behind",
      hint: 'Let the owner of the migrations run "headgate up", and check that it carries the same bundle ("headgate version")',
    },
  );
}

function runningError(row: LedgerRow): HeadgateError {
  return new HeadgateError(
    `Cannot call the schema ready: migration ${row.version} ${row.name} is being built by another runner`,
    { code: "behind", hint: "Wait until that runner is done, then run the command again" },
  );
}

function aheadError(
  state: { readonly extra: NonEmpty<LedgerRow>; readonly breaking: boolean },
  policy: Policy,
): HeadgateError {
  const versions = state.extra.map((row) => row.version).join(", ");
  const why =
    policy === "exact"
      ? "--policy exact accepts no newer schema"
      : "one of them is marked breaking";
  return new HeadgateError(
    `Cannot run against this schema: the database has versions that this bundle does not (${versions}), and ${why}`,
    { code: "ahead", hint: "Deploy the newer image, or revert the schema with the newer binary" },
  );
}

function interruptedError(row: LedgerRow): HeadgateError {
  const why = row.error === null ? reached(row) : ` (${row.error})`;
  return new HeadgateError(
    `Cannot go on: migration ${row.version} ${row.name} is ${row.state} and nobody works on it${why}`,
    {
      code: "interrupted",
      hint: `Look at what it left behind. Finish it by hand and run ${resolveCommand(row.version, "applied")}, or undo it and run ${resolveCommand(row.version, "rolled-back")} to have it run again`,
    },
  );
}

/** Only a migration outside a transaction leaves a running row; its next statement may have begun. */
function reached({ state, statementsDone }: LedgerRow): string {
  if (state !== "running") return "";
  return ` (${statementsDone} of its statements are done, and the next may have begun)`;
}

const DRIFT_TEXT: Readonly<Record<Drift["why"], string>> = {
  checksum: "was edited after it was applied",
  history: "has another history below it",
  missing: "is missing below an applied one",
  unknown: "was applied but is not in this bundle",
};

function driftedError(drifts: NonEmpty<Drift>): HeadgateError {
  const list = drifts.map((drift) => `${drift.version} ${DRIFT_TEXT[drift.why]}`).join("; ");
  return new HeadgateError(`Cannot trust the ledger: ${list}`, {
    code: "drifted",
    hint: 'Compare with "headgate status"; restore the released files, or deploy the bundle that this database belongs to',
  });
}
