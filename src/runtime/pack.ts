/** Copies of this executable: one that carries other migrations, one that runs in any container. */
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { renderCargo } from "../core/cargo.ts";
import { HeadgateError } from "../core/error.ts";
import { type Head, headOf } from "../core/head.ts";
import type { NonEmpty } from "../core/migration.ts";
import { refuseUnrunnable } from "../core/runnable.ts";
import { loadFolder } from "./bundle-source.ts";
import { ownFile, type Start } from "./cargo.ts";
import { copyExecutable, writeExecutable } from "./executable.ts";
import { readSeedFolder } from "./seed-folder.ts";

/** What to write, and where. */
export interface PackWish {
  readonly migrations: string;
  readonly seeds: string | undefined;
  readonly output: string;
  readonly replaces: boolean;
}

/** What was written. */
export interface Packed {
  readonly head: Head;
  readonly seeds: number;
}

/** Where the copy is, and the two ways to start it. */
export interface Installed {
  /** In an image that has this kind of C library. */
  readonly command: NonEmpty<string>;
  /** In any image; undefined: there is no loader to take along. */
  readonly anywhere: NonEmpty<string> | undefined;
}

const NAME = "headgate";
const LIBRARIES = "lib";

/** A C library: how its loader is called, and what the runtime links to. */
interface Kind {
  readonly loader: RegExp;
  readonly libraries: readonly string[];
  /** Taken along where it is. */
  readonly companion?: string;
}

const GLIBC: Kind = {
  loader: /^ld-linux-/,
  libraries: ["libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0"],
};
/** The runtime for musl links to the C++ library, and that, as most systems build it, to another one. */
const MUSL: Kind = {
  loader: /^ld-musl-/,
  libraries: ["libstdc++.so.6"],
  companion: "libgcc_s.so.1",
};

/**
 * Reads and checks the folders, then writes the executable as a whole.
 *
 * @throws {HeadgateError} `bundle-invalid` for files that cannot be used, `config-invalid` for the place of the new one
 */
export async function packBundle(start: Start, wish: PackWish): Promise<Packed> {
  const { migrations: folder, seeds, output, replaces } = wish;
  const bundle = await loadFolder(folder);
  refuseUnrunnable(bundle);
  const seedFiles = seeds === undefined ? [] : readSeedFolder(seeds).files;
  if (existsSync(output) && !replaces) {
    throw new HeadgateError(`Cannot write ${output}: the file exists`, {
      code: "config-invalid",
      hint: "Name another one with --output, or replace it with --force",
    });
  }
  const head = headOf(bundle);
  const migrations = bundle.map(({ file, text }) => ({ file, text }));
  const carried = seedFiles.map(({ file, sql }) => ({ file, text: sql }));
  await writeExecutable(ownFile(start), output, renderCargo({ head, migrations, seeds: carried }));
  return { head, seeds: carried.length };
}

/**
 * Copies the executable, and the C library that this process runs on, so that everybody may run them.
 *
 * @throws {HeadgateError} `config-invalid` when the folder cannot be written
 */
export function installInto(start: Start, folder: string): Installed {
  const place = resolve(folder);
  const program = join(place, NAME);
  makeFolder(place);
  copyExecutable(ownFile(start), program);
  const libraries = ownLibraries();
  if (!libraries) return { command: [program], anywhere: undefined };
  const beside = join(place, LIBRARIES);
  makeFolder(beside);
  for (const { name, file } of libraries.files) copyExecutable(file, join(beside, name));
  const loader = join(beside, libraries.loader);
  return { command: [program], anywhere: [loader, "--library-path", beside, program] };
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o755 });
  } catch (error) {
    throw new HeadgateError(`Cannot write to ${folder}: ${String(error)}`, {
      code: "config-invalid",
      hint: "Name a folder that this user may write, such as a mounted volume",
      cause: error,
    });
  }
}

interface Libraries {
  readonly loader: string;
  readonly files: readonly { readonly name: string; readonly file: string }[];
}

/** Of the C library that this process has loaded; undefined where /proc does not tell. */
function ownLibraries(): Libraries | undefined {
  const mapped = mappedLibraries();
  const folders = [...new Set(mapped.map((file) => dirname(file)))];
  const kind = mapped.some((file) => /\/ld-musl-[^/]*$/.test(file)) ? MUSL : GLIBC;
  const loader = folders
    .flatMap((folder) => readdirSync(folder))
    .find((name) => kind.loader.test(name));
  if (loader === undefined) return undefined;
  const needed = [loader, ...kind.libraries].map((name) => ({ name, file: findIn(folders, name) }));
  return { loader, files: [...needed, ...companionOf(kind, folders)] };
}

function mappedLibraries(): readonly string[] {
  try {
    const maps = readFileSync("/proc/self/maps", "utf8");
    return Array.from(maps.matchAll(/ (\/\S+\.so(?:\.[\d.]+)?)$/gm), ([, file]) => file ?? "");
  } catch {
    return [];
  }
}

function companionOf({ companion }: Kind, folders: readonly string[]): Libraries["files"] {
  if (companion === undefined) return [];
  const files = folders.map((folder) => join(folder, companion)).filter((file) => existsSync(file));
  return files.slice(0, 1).map((file) => ({ name: companion, file }));
}

function findIn(folders: readonly string[], name: string): string {
  const folder = folders.find((each) => existsSync(join(each, name)));
  if (folder !== undefined) return join(folder, name);
  throw new HeadgateError(`Cannot copy ${name}: it is not beside the libraries of this process`, {
    code: "config-invalid",
    hint: "Run install from headgate's own image",
  });
}
