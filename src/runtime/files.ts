/** Files and folders that the command line names. */
import { HeadgateError } from "../core/error.ts";
import { IS_BUN } from "./engine.ts";
import { fs } from "./lazy-fs.ts";

/** Undefined when there is no such file. @throws {HeadgateError} `config-invalid` when unreadable. */
export function readFile(path: string): string | undefined {
  if (isMissing(path)) return undefined;
  try {
    return fs().readFileSync(path, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw new HeadgateError(
      `Cannot load settings: a named file cannot be read (${codeOf(error)})`,
      {
        code: "config-invalid",
        cause: error,
      },
    );
  }
}

/**
 * True only if there is none: most of the files that libpq looks for are not there, and node:fs costs a
 * probe a tenth to say so. Bun says that a file cannot be looked at, and only who then tries to open it
 * is told why.
 */
function isMissing(path: string): boolean {
  if (!IS_BUN) return false;
  try {
    const { size, lastModified } = Bun.file(path);
    if (size === 0 && lastModified === Bun.file(NOWHERE).lastModified) Bun.mmap(path);
    return false;
  } catch (error) {
    return codeOf(error) === "ENOENT";
  }
}

/** Nothing can be there; all that cannot be looked at has the same time. */
const NOWHERE = "/dev/null/nowhere";

/** A file of a folder. */
export interface FolderFile {
  readonly file: string;
  readonly text: string;
}

/** What a folder holds, for messages. */
export interface FolderKind {
  /** `migrations`. */
  readonly files: string;
  /** What is missing in an empty one: `migration (NNNN_name.sql)`. */
  readonly one: string;
  readonly hint: string;
}

const MIGRATIONS: FolderKind = {
  files: "migrations",
  one: "migration (NNNN_name.sql)",
  hint: "Check --dir or HEADGATE_DIR; files are named NNNN_name.sql",
};

/** As `readSqlFolder`. */
export function readMigrationFolder(folder: string): readonly FolderFile[] {
  return readSqlFolder(folder, MIGRATIONS);
}

/**
 * The `.sql` files of a folder, unsorted and at least one. Hidden files and other endings are left out.
 *
 * @throws {HeadgateError} `bundle-invalid` naming every file that is unreadable or not UTF-8.
 */
export function readSqlFolder(
  folder: string,
  kind: FolderKind,
): readonly [FolderFile, ...FolderFile[]] {
  const files = listFolder(folder, kind).filter(
    (file) => file.endsWith(".sql") && !file.startsWith("."),
  );
  const problems: string[] = [];
  const sources = files.flatMap((file) => {
    const text = readText(`${folder}/${file}`);
    if (typeof text === "string") return [{ file, text }];
    problems.push(`${file}: ${text.problem}`);
    return [];
  });
  if (problems.length > 0) throw unusable(folder, problems.join("\n"), kind);
  const [first, ...others] = sources;
  if (!first) throw unusable(folder, `it has no ${kind.one}`, kind);
  return [first, ...others];
}

function listFolder(folder: string, kind: FolderKind): readonly string[] {
  try {
    return fs().readdirSync(folder);
  } catch (error) {
    throw unusable(folder, `the folder cannot be read (${codeOf(error)})`, kind);
  }
}

function readText(path: string): string | { readonly problem: string } {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(
      fs().readFileSync(path),
    );
  } catch (error) {
    if (error instanceof TypeError) return { problem: "it is not UTF-8" };
    return { problem: `it cannot be read (${codeOf(error)})` };
  }
}

function unusable(folder: string, problem: string, { files, hint }: FolderKind): HeadgateError {
  return new HeadgateError(`Cannot use the ${files} of ${folder}: ${problem}`, {
    code: "bundle-invalid",
    hint,
  });
}

function codeOf(error: unknown): string {
  return String((error as { readonly code?: unknown }).code ?? "unknown");
}
