/** Files and folders that the command line names. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { HeadgateError } from "../core/error.ts";

/** Undefined when there is no such file. @throws {HeadgateError} `config-invalid` when unreadable. */
export function readFile(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
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
 * The `.sql` files of a folder, unsorted. Hidden files and other endings are not migrations.
 *
 * @throws {HeadgateError} `bundle-invalid` naming every file that is unreadable or not UTF-8.
 */
export function readMigrationFolder(
  folder: string,
): { readonly file: string; readonly text: string }[] {
  const files = listFolder(folder).filter((file) => file.endsWith(".sql") && !file.startsWith("."));
  const problems: string[] = [];
  const sources = files.flatMap((file) => {
    const text = readText(join(folder, file));
    if (typeof text === "string") return [{ file, text }];
    problems.push(`${file}: ${text.problem}`);
    return [];
  });
  if (problems.length > 0) throw unusable(folder, problems.join("\n"));
  if (sources.length === 0) throw unusable(folder, "it has no migration (NNNN_name.sql)");
  return sources;
}

function listFolder(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    throw unusable(folder, `the folder cannot be read (${codeOf(error)})`);
  }
}

function readText(path: string): string | { readonly problem: string } {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(readFileSync(path));
  } catch (error) {
    if (error instanceof TypeError) return { problem: "it is not UTF-8" };
    return { problem: `it cannot be read (${codeOf(error)})` };
  }
}

function unusable(folder: string, problem: string): HeadgateError {
  return new HeadgateError(`Cannot use the migrations of ${folder}: ${problem}`, {
    code: "bundle-invalid",
    hint: "Check --dir or HEADGATE_DIR; files are named NNNN_name.sql",
  });
}

function codeOf(error: unknown): string {
  return String((error as { readonly code?: unknown }).code ?? "unknown");
}
