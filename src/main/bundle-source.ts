/** Where the migrations come from: a folder, or the binary itself. */
import { HeadgateError } from "../core/error.ts";
import { headOf, isNonEmpty } from "../core/head.ts";
import type { BundleSource } from "../flow/access.ts";
import { readMigrationFolder } from "../runtime/files.ts";

/**
 * What a command judges the database by.
 *
 * @throws {HeadgateError} `bundle-invalid` when the folder cannot be used
 */
export async function bundleSource(folder: string | undefined): Promise<BundleSource> {
  if (folder === undefined) {
    const { HEAD, loadEmbedded } = await import("../embed/source.ts");
    return { head: HEAD, load: async () => nonEmpty(await loadEmbedded()) };
  }
  const { buildBundle } = await import("../core/bundle.ts");
  const bundle = nonEmpty(buildBundle(readMigrationFolder(folder), folder));
  return { head: headOf(bundle), load: async () => bundle };
}

function nonEmpty<T>(bundle: readonly T[]): readonly [T, ...T[]] {
  if (isNonEmpty(bundle)) return bundle;
  throw new HeadgateError("Cannot use the migrations: there are none", {
    code: "bundle-invalid",
    hint: "An empty bundle is never at head: name a folder with --dir",
  });
}
