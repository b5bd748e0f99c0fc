/** The commands that need no database. */
import type { Operands } from "../cli/operands.ts";
import type { Outcome } from "../cli/run.ts";
import type { OfflineCommand } from "../config/commands.ts";
import type { Settings } from "../config/settings.ts";
import { COMMIT, TARGET, VERSION } from "../embed/version.ts";
import { sourceOf } from "./bundle-source.ts";
import { startOf } from "./reach.ts";
import type { Program } from "./shape.ts";

/** Runs one of them. @throws {HeadgateError} whatever the command throws */
export function offline(
  program: Program,
  invocation: Operands & { readonly command: OfflineCommand },
  settings: Settings,
): Promise<Outcome> {
  const { command } = invocation;
  if (command === "version") return version(program, settings);
  if (command === "manifest") return manifest(program, invocation, settings);
  return pack(program, { ...invocation, command }, settings);
}

/** `version`, and the flag of that name. */
export async function version(
  program: Program,
  { dir, json }: Partial<Pick<Settings, "dir" | "json">>,
): Promise<Outcome> {
  const { head, origin } = await sourceOf(dir, startOf(program));
  const { renderVersion } = await import("../cli/render-version.ts");
  const build = { version: VERSION, commit: COMMIT, target: TARGET, runtimes: program.versions };
  return { stdout: renderVersion({ ...build, head, origin }, json === true), exitStatus: 0 };
}

async function manifest(
  program: Program,
  { format }: Operands,
  settings: Settings,
): Promise<Outcome> {
  if (format === undefined) throw new TypeError("manifest always has a format");
  const { head } = await sourceOf(settings.dir, startOf(program));
  const { runManifest } = await import("../cli/run-manifest.ts");
  const { writeFolder } = await import("../runtime/write-folder.ts");
  return runManifest(settings, format, { head, version: VERSION, writeFolder });
}

async function pack(
  program: Program,
  { command, folder }: Operands & { readonly command: "bundle" | "install" },
  settings: Settings,
): Promise<Outcome> {
  const { runPack } = await import("../cli/run-pack.ts");
  return runPack(
    { command, settings, folder },
    await import("../runtime/pack.ts"),
    startOf(program),
  );
}
