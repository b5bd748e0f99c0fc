/** Makes a bundle of migration files. */

import { historyAfter } from "./checksum.ts";
import { HeadgateError } from "./error.ts";
import type { Bundle, Migration } from "./migration.ts";
import { type ParsedMigration, readMigration } from "./migration-file.ts";
import { parseMigrationName } from "./migration-name.ts";
import { printable } from "./source-position.ts";

/** A file as it was loaded: its name without a folder, and its text as it stands. */
export interface SourceFile {
  readonly file: string;
  readonly text: string;
}

/**
 * Reads all files, sorts them by version and chains their histories. `place` says in messages where the files come
 * from. No files give an empty bundle.
 *
 * @throws {HeadgateError} `bundle-invalid`: names every problem of every file, one block each.
 *
 * @example
 * ```ts
 * buildBundle([{ file: "0001_init.sql", text: "create table a ();" }], "./migrations").length; // 1
 * ```
 */
export function buildBundle(files: readonly SourceFile[], place: string): Bundle {
  const sorted = [...files].sort((a, b) => compareText(a.file, b.file));
  const problems: string[] = [...duplicateProblems(sorted)];
  const parsed: ParsedMigration[] = [];
  for (const { file, text } of sorted) {
    const reading = readMigration(file, text);
    if (reading.kind === "parsed") parsed.push(reading.migration);
    else problems.push(...reading.problems);
  }
  if (problems.length > 0) throw bundleError(place, problems);
  return chain(parsed.sort((a, b) => a.version - b.version));
}

function bundleError(place: string, problems: readonly string[]): HeadgateError {
  const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
  const message = `Cannot use the migrations of ${printable(place)}: ${count}\n${problems.join("\n")}`;
  return new HeadgateError(message, {
    code: "bundle-invalid",
    hint: "Correct the files named above; released migrations stay as they are",
  });
}

/** Names are enough: a file whose text is wrong still takes its version. */
function duplicateProblems(files: readonly SourceFile[]): readonly string[] {
  const byVersion = new Map<number, string[]>();
  for (const { file } of files) {
    const name = parseMigrationName(file);
    if (name.kind === "unusable") continue;
    const others = byVersion.get(name.version);
    if (others === undefined) byVersion.set(name.version, [file]);
    else others.push(file);
  }
  return [...byVersion]
    .filter(([, names]) => names.length > 1)
    .map(([version, names]) => `${names.join(", ")}: the same version ${version}`);
}

function chain(sorted: readonly ParsedMigration[]): Bundle {
  const bundle: Migration[] = [];
  for (const migration of sorted) {
    const previous = bundle.at(-1)?.history ?? "";
    const history = historyAfter(previous, migration.version, migration.checksum);
    bundle.push({ ...migration, history });
  }
  return bundle;
}

/** By code units, so that the order does not depend on a locale. */
function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
