/** The file of this very program: what it carries, and copies of it that carry something else. */
import {
  chmodSync,
  closeSync,
  copyFileSync,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { renderSeal, SEAL_LENGTH } from "../core/cargo.ts";
import { HeadgateError } from "../core/error.ts";
import { ownFile, readSeal, type Start } from "./cargo.ts";

const EXECUTABLE = 0o755;

/** How to start it once more: through its loader, if that is how it was started. The libraries lie beside the loader. */
export function ownCommand(start: Start): readonly [program: string, ...flags: readonly string[]] {
  const { execPath } = start;
  const file = ownFile(start);
  return file === execPath ? [file] : [execPath, "--library-path", dirname(execPath), file];
}

/**
 * Writes a copy of the executable that carries this instead of what the original does. The copy is there as a whole
 * or not at all.
 *
 * @throws {HeadgateError} `config-invalid` when it cannot be written
 */
export async function writeExecutable(from: string, to: string, cargo: string): Promise<void> {
  const { end, size } = await readSeal(from);
  const bytes = new TextEncoder().encode(cargo);
  const seal = renderSeal({ size: bytes.length, digest: Bun.SHA256.hash(bytes, "hex") });
  replace(to, (temporary) => {
    copyFileSync(from, temporary);
    truncateSync(temporary, end - SEAL_LENGTH - size);
    writeFileSync(temporary, bytes, { flag: "a" });
    writeFileSync(temporary, seal, { flag: "a" });
  });
}

/** Copies a file to where others may run it. @throws {HeadgateError} `config-invalid` when it cannot */
export function copyExecutable(from: string, to: string): void {
  replace(to, (temporary) => copyFileSync(from, temporary));
}

function replace(to: string, write: (temporary: string) => void): void {
  const temporary = join(dirname(to), `.${basename(to)}-${crypto.randomUUID()}`);
  try {
    write(temporary);
    chmodSync(temporary, EXECUTABLE);
    sync(temporary);
    renameSync(temporary, to);
  } catch (error) {
    removeQuietly(temporary);
    throw new HeadgateError(`Cannot write ${to}: ${messageOf(error)}`, {
      code: "config-invalid",
      hint: "Name a place in a folder that exists, that this user may write, and that has room",
      cause: error,
    });
  }
}

/** What led here matters more; on a read-only file system even a file that is not there cannot be removed. */
function removeQuietly(file: string): void {
  try {
    rmSync(file, { force: true });
  } catch {
    // It stays, or was never there.
  }
}

function sync(file: string): void {
  const handle = openSync(file, "r+");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
