/** A folder of seed files: idempotent SQL, run in one transaction whenever it has changed. */
import { checksumOf, normalise } from "./checksum.ts";
import { HeadgateError } from "./error.ts";
import type { NonEmpty } from "./migration.ts";
import { refusedStatements } from "./refused-statements.ts";
import type { SeedMark } from "./seed-mark.ts";
import { renderCaret } from "./source-position.ts";

/** One file. */
export interface SeedFile {
  readonly file: string;
  /** Normalised text. */
  readonly sql: string;
}

/** The files in the order in which they run, and what proves that they have. */
export interface CustomSeeds {
  readonly files: NonEmpty<SeedFile>;
  readonly mark: SeedMark;
}

/**
 * Sorts by file name, by code units.
 *
 * @throws {HeadgateError} `bundle-invalid`: every statement that may not stand in a transaction.
 */
export function buildCustomSeeds(
  sources: NonEmpty<{ readonly file: string; readonly text: string }>,
): CustomSeeds {
  const sorted = sources
    .map(({ file, text }): SeedFile => ({ file, sql: normalise(text) }))
    .sort((a, b) => (a.file < b.file ? -1 : 1));
  const files = sorted as unknown as NonEmpty<SeedFile>;
  const problems = files.flatMap(problemsOf);
  if (problems.length > 0) {
    throw new HeadgateError(`Cannot use the seeds: nothing was run\n${problems.join("\n")}`, {
      code: "bundle-invalid",
      hint: "Change the files named above as each line says, then run the command again",
    });
  }
  const sums = files.map(({ file, sql }) => `${checksumOf(sql)}  ${file}\n`).join("");
  return { files, mark: { name: "custom", number: 0, fingerprint: checksumOf(sums) } };
}

function problemsOf({ file, sql }: SeedFile): readonly string[] {
  return refusedStatements(sql).map(({ offset, what, why, instead }) =>
    renderCaret(file, sql, offset, `${what} is refused: ${why}; ${instead}`),
  );
}
