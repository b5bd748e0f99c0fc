/** Where the migrations come from: a folder, or the binary itself. */
import { headOf, nonEmptyBundle } from "../core/head.ts";
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
    return { head: HEAD, load: async () => nonEmptyBundle(await loadEmbedded()) };
  }
  const { buildBundle } = await import("../core/bundle.ts");
  const bundle = nonEmptyBundle(buildBundle(readMigrationFolder(folder), folder));
  return { head: headOf(bundle), load: async () => bundle };
}
