/** The generated password, and the file that hands it over. */
import {
  closeSync,
  constants,
  fsyncSync,
  lstatSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  type Stats,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { HeadgateError } from "../core/error.ts";

/** None looks like another: one case, no 0, 1, l, o. There are 32, so `byte % 32` favours none. */
const ALPHABET = "23456789abcdefghijkmnpqrstuvwxyz";
/** Upper and lower case, a digit and a special character, so that no draw misses a class. */
const PREFIX = "Hg2";
const GROUPS = 6;
const GROUP_LENGTH = 5;
const FORMAT = new RegExp(`^${PREFIX}(?:-[${ALPHABET}]{${GROUP_LENGTH}}){${GROUPS}}$`);
/** More than a file of ours can hold, so what goes on is not ours. */
const READ_BYTES = 64;
const OWNER_ONLY = 0o600;

const CANNOT_WRITE = "Cannot write the generated password";

/** By `code` of a failed call: what is in the way, and the next step. */
const TROUBLES: Readonly<Record<string, readonly [problem: string, hint: string]>> = {
  ENOENT: ["its folder does not exist", "Create the folder, or name a file in one that exists"],
  ENOTDIR: ["a part of the path is not a folder", "Name a file in a folder that exists"],
  EROFS: ["the file system is read-only", "Name a file on a volume that can be written"],
  EACCES: ["permission denied", "Name a file in a folder that this user can write"],
  EPERM: ["permission denied", "Name a file in a folder that this user can write"],
  EBUSY: ["it is a mount point", "Mount its folder, not the single file"],
  ENOSPC: ["no space is left", "Make room, or name a file on another volume"],
};

/**
 * A new password of 150 random bits. Groups of lower-case letters and digits after a constant prefix; it
 * needs no quoting in a shell, in YAML or in a URL.
 *
 * @example `Hg2-7kq3x-m2vtd-9hzpa-c4wne-u8rjb-y5sfg`
 */
export function generatePassword(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(GROUPS * GROUP_LENGTH));
  const letters = Array.from(bytes, (byte) => ALPHABET.charAt(byte % ALPHABET.length)).join("");
  const groups = Array.from({ length: GROUPS }, (_, i) =>
    letters.slice(i * GROUP_LENGTH, (i + 1) * GROUP_LENGTH),
  );
  return [PREFIX, ...groups].join("-");
}

/**
 * Puts the password and nothing else, no line end, into a file of mode 0600, so that a secret made from the
 * file is exact. Atomic, and it survives a crash as soon as this returns.
 *
 * It replaces an empty file, and one that holds a generated password: a run that died before its COMMIT left
 * that. Anything else stays as it is, so a mistyped path destroys nothing.
 *
 * @throws {HeadgateError} `seed-failed` when something else is there, or the file cannot be written.
 */
export function writePasswordFile(path: string, password: string): void {
  try {
    refuseForeign(path);
    replaceFile(path, password);
  } catch (error) {
    if (error instanceof HeadgateError) throw error;
    const code = codeOf(error);
    const [problem, hint] = TROUBLES[code] ?? [`it failed with ${code}`, "Name another file"];
    throw new HeadgateError(`${CANNOT_WRITE} to ${path}: ${problem}`, {
      code: "seed-failed",
      hint,
      cause: error,
    });
  }
}

/**
 * Removes the file if it still holds this password and nothing else. Never throws, because the error that led
 * here matters more; what stays, the next `writePasswordFile` replaces.
 */
export function withdrawPasswordFile(path: string, password: string): void {
  try {
    if (withoutLineEnd(startOf(path)) === password) rmSync(path);
  } catch {
    // Gone, or out of reach.
  }
}

function refuseForeign(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  const problem = foreignness(path, found);
  if (problem === undefined) return;
  throw new HeadgateError(`${CANNOT_WRITE} to ${path}: ${problem}`, {
    code: "seed-failed",
    hint: "Name another file, or move away what is there",
  });
}

function foreignness(path: string, found: Stats): string | undefined {
  if (found.isSymbolicLink()) return "it is a symbolic link";
  if (found.isDirectory()) return "it is a folder";
  if (!found.isFile()) return "it is not a regular file";
  const text = startOf(path);
  const isOurs = text === "" || FORMAT.test(withoutLineEnd(text));
  return isOurs ? undefined : "the file exists and holds something else";
}

/** Follows no link and waits for nobody, whatever the path has become meanwhile. */
function startOf(path: string): string {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  const file = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const bytes = new Uint8Array(READ_BYTES);
    const length = readSync(file, bytes);
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes.subarray(0, length));
  } finally {
    closeSync(file);
  }
}

/** An editor may have added one. */
function withoutLineEnd(text: string): string {
  return text.replace(/\r?\n$/, "");
}

/** The umask can only take from a mode, so at no time can anybody else read the password. */
function replaceFile(path: string, text: string): void {
  const folder = dirname(path);
  const temporary = join(folder, `.headgate-${crypto.randomUUID()}`);
  const file = openSync(temporary, "wx", OWNER_ONLY);
  try {
    try {
      writeFileSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  syncFolder(folder);
}

/** Makes the new name durable. Some network file systems refuse this; there the rename has to do. */
function syncFolder(folder: string): void {
  try {
    const handle = openSync(folder, "r");
    try {
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
  } catch {
    // Refused.
  }
}

function codeOf(error: unknown): string {
  return String((error as { readonly code?: unknown }).code ?? "an unknown error");
}
