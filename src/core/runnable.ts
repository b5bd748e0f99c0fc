/** The last look at migrations before any of them runs. */

import { HeadgateError } from "./error.ts";
import type { Migration } from "./migration.ts";
import { refusedStatements } from "./refused-statements.ts";
import { renderCaret } from "./source-position.ts";

/** Which part of a migration is going to run. */
export type Direction = "up" | "down";

/**
 * Refuses migrations that this version cannot run safely, all offenders at once. Only what is going to run is looked
 * at: an applied migration is never refused. For `down` a migration without a down part is an offender too.
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
  const { file, text } = migration;
  const section = migration[direction];
  if (section === undefined) return [`${file}: it has no ${direction} part`];
  const refused = refusedStatements(section.sql).map(({ offset, what, why, instead }) =>
    renderCaret(file, text, section.start + offset, `${what} is refused: ${why}; ${instead}`),
  );
  if (migration.options.transaction) return refused;
  return [
    `${file}: non-transactional migrations are not supported by this version; remove transaction:false`,
    ...refused,
  ];
}
