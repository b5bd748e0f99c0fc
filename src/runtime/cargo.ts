/** What this very program carries behind its own code. Read at every start, so without any module of Node.js. */
import { parseSeal, SEAL_LENGTH, type Seal } from "../core/cargo.ts";
import { HeadgateError } from "../core/error.ts";

/** How the process was started, as `process` has it. */
export interface Start {
  readonly execPath: string;
  readonly argv0: string;
}

/** Started through a dynamic loader, the kernel knows the loader; then the first word of the command names us. */
export function ownFile({ execPath, argv0 }: Start): string {
  const name = nameOf(execPath);
  return name.startsWith("ld-linux") || name.startsWith("ld-musl") ? argv0 : execPath;
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/**
 * What the executable carries, whole and unchanged; undefined: nothing, so it has the default bundle.
 *
 * @throws {HeadgateError} `bundle-invalid` when its end is missing or its digest is wrong
 */
export async function readCargo(file: string): Promise<string | undefined> {
  const seal = await readSeal(file);
  if (seal.size === 0) return undefined;
  const position = seal.end - SEAL_LENGTH - seal.size;
  const cargo = await readAt(file, position, seal.size, (part) => part.bytes());
  if (Bun.SHA256.hash(cargo, "hex") !== seal.digest) throw damaged(file, "its digest is wrong");
  return decode(cargo);
}

/** The last line of the file, and where the file ends. @throws {HeadgateError} `bundle-invalid` */
export async function readSeal(file: string): Promise<Seal & { readonly end: number }> {
  const end = Bun.file(file).size;
  const line = await readAt(file, end - SEAL_LENGTH, SEAL_LENGTH, (part) => part.text());
  const seal = parseSeal(line);
  if (!seal) throw damaged(file, "its end is missing");
  return { ...seal, end };
}

/** Less than asked for, where the file has no more. */
async function readAt<T>(
  file: string,
  position: number,
  length: number,
  read: (part: Blob) => Promise<T>,
): Promise<T> {
  const start = Math.max(position, 0);
  try {
    return await read(Bun.file(file).slice(start, start + length));
  } catch (error) {
    throw damaged(file, error instanceof Error ? error.message : String(error));
  }
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
