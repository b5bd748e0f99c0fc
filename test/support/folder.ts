/** Migration folders for one test. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const made: string[] = [];

/** A new folder with these files; it goes when the process ends. */
export function migrationFolder(files: Readonly<Record<string, string | Uint8Array>>): string {
  const folder = mkdtempSync(join(tmpdir(), "headgate-migrations-"));
  made.push(folder);
  for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text);
  return folder;
}

process.on("exit", () => {
  for (const folder of made) rmSync(folder, { recursive: true, force: true });
});
