/** A plain probe, from its flags to its answer. */
import type { Outcome } from "../cli/run.ts";
import { runProbe } from "../cli/run-probe.ts";
import type { Env } from "../config/libpq-env.ts";
import { PROBE_READERS, PROBE_SETTINGS, type ProbeSettings } from "../config/probe-settings.ts";
import { type Flags, readSettings } from "../config/read-settings.ts";
import { readFile } from "../runtime/files.ts";
import { logFor, reach } from "./reach.ts";
import type { Program, Shape } from "./shape.ts";

const TABLE = { settings: PROBE_SETTINGS, readers: PROBE_READERS };

/** Reads the settings that a probe has, and no other. @throws {HeadgateError} */
export async function probePlainly(program: Program, shape: Shape, flags: Flags): Promise<Outcome> {
  shape.command = "probe";
  shape.isProbe = true;
  const input = { command: "probe", flags, env: program.env, readFile } as const;
  const { settings, env } = readSettings<ProbeSettings>(TABLE, input);
  shape.isJson = settings.json;
  shape.log = logFor(shape, settings);
  return askProbe(program, shape, settings, env);
}

/** Its time began when the process did. @throws {HeadgateError} */
export async function askProbe(
  program: Program,
  shape: Shape,
  settings: ProbeSettings,
  env: Env,
): Promise<Outcome> {
  const { world, access, source } = await reach(program, shape, {
    command: "probe",
    settings,
    env,
  });
  shape.stop.after(settings.timeout - performance.now(), "--timeout");
  if (!settings.requireSeeds) return runProbe(world, access, source.head, { settings });
  const { loadRequired } = await import("../cli/load-seeding.ts");
  const { RBAC_MARK: mark } = await import("../embed/rbac.ts");
  const seeds = await loadRequired(settings, { env, readFile, mark, readSeeds: source.readSeeds });
  return runProbe(world, access, source.head, { settings, seeds });
}
