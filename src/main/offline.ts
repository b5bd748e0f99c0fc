/** The commands that need no database. */
import type { Invocation } from "../cli/parse-argv.ts";
import type { Outcome } from "../cli/run.ts";
import type { Settings } from "../config/settings.ts";
import { bundleSource } from "./bundle-source.ts";

/** `version`. */
export async function version(folder: string | undefined, isJson: boolean): Promise<Outcome> {
  const { COMMIT, VERSION } = await import("../embed/version.ts");
  const { head } = await bundleSource(folder);
  const { renderVersion } = await import("../cli/render-version.ts");
  return {
    stdout: renderVersion({ version: VERSION, commit: COMMIT, head }, isJson),
    exitStatus: 0,
  };
}

/** `manifest FORMAT`. */
export async function manifest(
  { format }: Extract<Invocation, { readonly kind: "command" }>,
  settings: Settings,
): Promise<Outcome> {
  if (format === undefined) throw new TypeError("manifest always has a format");
  const { VERSION } = await import("../embed/version.ts");
  const { head } = await bundleSource(settings.dir);
  const { runManifest } = await import("../cli/run-manifest.ts");
  const { writeFolder } = await import("../runtime/write-folder.ts");
  return runManifest(settings, format, { head, version: VERSION, writeFolder });
}
