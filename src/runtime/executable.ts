/** The file of this very program: what it carries, and copies of it that carry something else. */
import {
  chmodSync,
  closeSync,
  copyFileSync,
  fstatSync,
  fsyncSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { parseSeal, renderSeal, SEAL_LENGTH } from "../core/cargo.ts";
import { HeadgateError } from "../core/error.ts";

/** How the process was started, as `process` has it. */
export interface Start {
  readonly execPath: string;
  readonly argv0: string;
}

/** Only compiled programs have a cargo, and only this runtime compiles them. */
declare const Bun: { readonly SHA256: { hash(bytes: Uint8Array, encoding: "hex"): string } };

const EXECUTABLE = 0o755;

/** Started through a dynamic loader, the kernel knows the loader; then the first word of the command names us. */
export function ownFile({ execPath, argv0 }: Start): string {
  return /^ld-(?:linux|musl)/.test(basename(execPath)) ? argv0 : execPath;
}

/** How to start it once more: through its loader, if that is how it was started. The libraries lie beside the loader. */
export function ownCommand(start: Start): readonly [program: string, ...flags: readonly string[]] {
  const { execPath } = start;
  const file = ownFile(start);
  return file === execPath ? [file] : [execPath, "--library-path", dirname(execPath), file];
}

/**
 * What the executable carries, whole and unchanged; undefined: nothing, so it has the default bundle.
 *
 * @throws {HeadgateError} `bundle-invalid` when its end is missing or its digest is wrong
 */
export function readCargo(file: string): string | undefined {
  const handle = open(file);
  try {
    const { size: end } = fstatSync(handle);
    const seal = parseSeal(decode(readAt(handle, end - SEAL_LENGTH, SEAL_LENGTH)));
    if (!seal) throw damaged(file, "its end is missing");
    if (seal.size === 0) return undefined;
    const cargo = readAt(handle, end - SEAL_LENGTH - seal.size, seal.size);
    if (Bun.SHA256.hash(cargo, "hex") !== seal.digest) throw damaged(file, "its digest is wrong");
    return decode(cargo);
  } finally {
    closeSync(handle);
  }
}

/**
 * Writes a copy of the executable that carries this instead of what the original does. The copy is there as a whole
 * or not at all.
 *
 * @throws {HeadgateError} `config-invalid` when it cannot be written
 */
export function writeExecutable(from: string, to: string, cargo: string): void {
  const length = lengthWithoutCargo(from);
  const bytes = new TextEncoder().encode(cargo);
  const seal = renderSeal({ size: bytes.length, digest: Bun.SHA256.hash(bytes, "hex") });
  replace(to, (temporary) => {
    copyFileSync(from, temporary);
    truncateSync(temporary, length);
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

function lengthWithoutCargo(file: string): number {
  const handle = open(file);
  try {
    const { size: end } = fstatSync(handle);
    const seal = parseSeal(decode(readAt(handle, end - SEAL_LENGTH, SEAL_LENGTH)));
    if (!seal) throw damaged(file, "its end is missing");
    return end - SEAL_LENGTH - seal.size;
  } finally {
    closeSync(handle);
  }
}

function open(file: string): number {
  try {
    return openSync(file, "r");
  } catch (error) {
    throw damaged(file, messageOf(error));
  }
}

/** Fewer bytes than asked for, where the file has no more. */
function readAt(handle: number, position: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  if (position < 0) return bytes;
  let read = 0;
  while (read < length) {
    const more = readSync(handle, bytes, read, length - read, position + read);
    if (more === 0) break;
    read += more;
  }
  return bytes.subarray(0, read);
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}

function damaged(file: string, problem: string): HeadgateError {
  return new HeadgateError(`Cannot read what ${file} carries: ${problem}`, {
    code: "bundle-invalid",
    hint: "The file is not as it was built: copy or build it again",
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
