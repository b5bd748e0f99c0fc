/** File names of migrations: `<version>_<name>.sql`. */

import { printable } from "./source-position.ts";

/** A file name that was read, or what is wrong with it. */
export type NameReading =
  | { readonly kind: "named"; readonly version: number; readonly name: string }
  | { readonly kind: "unusable"; readonly problem: string };

const NAME = /^(\d+)_([A-Za-z0-9_-]+)\.sql$/;
const PAIR = /\.(up|down)\.sql$/i;

/**
 * Reads a file name. Leading zeros do not count: `1_a.sql` and `001_a.sql` have the same version. The problem is one
 * line that begins with the file name.
 *
 * @example
 * ```ts
 * parseMigrationName("0003_create_roles.sql"); // { kind: "named", version: 3, name: "create_roles" }
 * ```
 */
export function parseMigrationName(file: string): NameReading {
  const [, digits, name] = NAME.exec(file) ?? [];
  if (digits === undefined || name === undefined) return unusable(file, nameProblem(file));
  const version = Number(digits);
  if (Number.isSafeInteger(version)) return { kind: "named", version, name };
  return unusable(file, `the version is larger than ${Number.MAX_SAFE_INTEGER}`);
}

function unusable(file: string, problem: string): NameReading {
  return { kind: "unusable", problem: `${printable(file)}: ${problem}` };
}

function nameProblem(file: string): string {
  const [, direction] = PAIR.exec(file) ?? [];
  if (direction !== undefined) {
    return `.${direction}.sql files are another tool's format, which is not read yet; put both parts into one file under -- migrate:up and -- migrate:down`;
  }
  if (!file.endsWith(".sql")) return "the name does not end in .sql";
  if (!/^\d/.test(file))
    return "the name does not begin with a version number, as in 0001_create_roles.sql";
  return "the name is not <version>_<name>.sql, where <name> has letters, digits, _ and - only";
}
