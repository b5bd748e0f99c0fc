/** The last look at migrations before any of them runs. */

import { HeadgateError } from "./error.ts";
import type { Migration, Section } from "./migration.ts";
import { refusedInside, refusedOutside } from "./refused-outside.ts";
import { renderCaret } from "./source-position.ts";

/** Parts without a problem. Their text does not change, and a run looks at what is pending once per step. */
const RUNNABLE: WeakSet<Section> = new WeakSet();

/** Which part of a migration is going to run. */
export type Direction = "up" | "down";

/**
 * Refuses migrations that this version cannot run safely, all offenders at once. Only what is going to run is looked
 * at: an applied migration is never refused. For `down` a migration without a down part is an offender too, and so is one that ran outside a transaction.
 *
 * @throws {HeadgateError} `bundle-invalid`: every refused statement with its line and a caret.
 */
export function refuseUnrunnable(
  migrations: readonly Migration[],
  direction: Direction = "up",
): void {
  const problems = migrations.flatMap((migration) => problemsOf(migration, direction));
  if (problems.length === 0) return;
  const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
  const action = direction === "up" ? "apply the pending migrations" : "revert the migrations";
  throw new HeadgateError(`Cannot ${action}: ${count}, nothing was run\n${problems.join("\n")}`, {
    code: "bundle-invalid",
    hint: "Change the files named above as each line says, then run the command again",
  });
}

function problemsOf(migration: Migration, direction: Direction): readonly string[] {
  const { file, text, options } = migration;
  const section = migration[direction];
  if (section === undefined) return [`${file}: it has no ${direction} part`];
  if (!options.transaction && direction === "down") {
    return [`${file}: it ran outside a transaction, and such a migration is only reverted by hand`];
  }
  if (RUNNABLE.has(section)) return [];
  const refused = options.transaction ? refusedInside(section.sql) : refusedOutside(section.sql);
  const problems = [
    ...(options.transaction ? [] : optionProblems(migration)),
    ...refused.map(({ offset, what, why, instead }) =>
      renderCaret(file, text, section.start + offset, `${what} is refused: ${why}; ${instead}`),
    ),
  ];
  if (problems.length === 0) RUNNABLE.add(section);
  return problems;
}

/** It is SET LOCAL around the body, which needs a transaction. */
function optionProblems({ file, options }: Migration): readonly string[] {
  if (options.statementTimeoutMs === undefined) return [];
  return [`${file}: statement_timeout has no effect with transaction:false; leave it out`];
}
