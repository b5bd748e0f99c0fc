/** Which migrations this run is about: a folder's, those that the executable carries, or the embedded ones. */
import { headOfCargo, parseCargo } from "../core/cargo.ts";
import type { CustomSeeds } from "../core/custom-seeds.ts";
import { type Head, headOf, isNonEmpty, nonEmptyBundle } from "../core/head.ts";
import type { Migration, NonEmpty } from "../core/migration.ts";
import { ownFile, readCargo, type Start } from "./cargo.ts";
import { readMigrationFolder } from "./files.ts";

/** Migrations, and the seeds that come with them. The head alone answers most questions, and costs no parsing. */
export interface Source {
  readonly head: Head;
  load(): Promise<NonEmpty<Migration>>;
  /** Of a folder, or else those that are carried; undefined: none. */
  readSeeds(folder: string | undefined): Promise<CustomSeeds | undefined>;
  readonly origin: "folder" | "executable" | "embedded";
}

/** The generated modules, which only `main.ts` may name. */
export interface Embedded {
  readonly HEAD: Head;
  loadEmbedded(): Promise<readonly Migration[]>;
}

/** Where to look. */
export interface Places {
  readonly folder: string | undefined;
  /** Undefined: headgate runs from source, and nothing is carried. */
  readonly start: Start | undefined;
  readonly embedded: Embedded;
}

/**
 * The first of the three that is there.
 *
 * @throws {HeadgateError} `bundle-invalid` when the folder cannot be used or the executable is damaged
 */
export async function openSource({ folder, start, embedded }: Places): Promise<Source> {
  if (folder !== undefined) return folderSource(folder);
  const cargo = start && (await readCargo(ownFile(start)));
  if (cargo !== undefined) return cargoSource(cargo);
  const { HEAD, loadEmbedded } = embedded;
  return {
    head: HEAD,
    load: async () => nonEmptyBundle(await loadEmbedded()),
    readSeeds: readFolder,
    origin: "embedded",
  };
}

async function folderSource(folder: string): Promise<Source> {
  const bundle = await loadFolder(folder);
  return {
    head: headOf(bundle),
    load: async () => bundle,
    readSeeds: readFolder,
    origin: "folder",
  };
}

/** The files of a folder, checked. @throws {HeadgateError} `bundle-invalid` */
export async function loadFolder(folder: string): Promise<NonEmpty<Migration>> {
  const { buildBundle } = await import("../core/bundle.ts");
  return nonEmptyBundle(buildBundle(readMigrationFolder(folder), folder));
}

function cargoSource(cargo: string): Source {
  return {
    head: headOfCargo(cargo),
    load: async () => {
      const { buildBundle } = await import("../core/bundle.ts");
      return nonEmptyBundle(buildBundle(parseCargo(cargo).migrations, "this executable"));
    },
    readSeeds: async (folder) => {
      if (folder !== undefined) return readFolder(folder);
      const { seeds } = parseCargo(cargo);
      if (!isNonEmpty(seeds)) return undefined;
      const { buildCustomSeeds } = await import("../core/custom-seeds.ts");
      return buildCustomSeeds(seeds);
    },
    origin: "executable",
  };
}

async function readFolder(folder: string | undefined): Promise<CustomSeeds | undefined> {
  if (folder === undefined) return undefined;
  const { readSeedFolder } = await import("./seed-folder.ts");
  return readSeedFolder(folder);
}
