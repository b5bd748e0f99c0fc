/** Migration folders for one test. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createScratchFolder } from "./scratch.ts";

/** A new folder with these files; it goes when the process ends. */
export function migrationFolder(files: Readonly<Record<string, string | Uint8Array>>): string {
  const folder = createScratchFolder("migrations");
  for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text);
  return folder;
}
