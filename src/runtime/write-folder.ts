/** Writes what a command made into a folder that a person named. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { HeadgateError } from "../core/error.ts";

/**
 * Files that are there already are written over; others stay.
 *
 * @throws {HeadgateError} `config-invalid` when the folder cannot be written
 */
export function writeFolder(folder: string, files: Readonly<Record<string, string>>): void {
  try {
    for (const [path, text] of Object.entries(files)) {
      const target = join(folder, path);
      mkdirSync(dirname(target), { recursive: true });
      writeFileSync(target, text);
    }
  } catch (error) {
    const { code } = error as { readonly code?: unknown };
    throw new HeadgateError(`Cannot write to ${folder}: ${String(code ?? error)}`, {
      code: "config-invalid",
      hint: "Name a folder that this user may write with --out",
      cause: error,
    });
  }
}
