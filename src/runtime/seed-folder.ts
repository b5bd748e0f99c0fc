/** The folder that `--seeds` names. */
import { buildCustomSeeds, type CustomSeeds } from "../core/custom-seeds.ts";
import { readSqlFolder } from "./files.ts";

/** Reads and checks it. @throws {HeadgateError} `bundle-invalid` when it has no file, or one that may not run */
export function readSeedFolder(folder: string): CustomSeeds {
  return buildCustomSeeds(
    readSqlFolder(folder, {
      files: "seeds",
      one: "seed file (name.sql)",
      hint: "Check --seeds or HEADGATE_SEEDS",
    }),
  );
}
