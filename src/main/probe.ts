/**
 * A probe, from its command line to its answer. Compiled, this and all that it imports for good is a
 * program of its own: it imports nothing by name that has a class or a state in common with it.
 */
import { failed } from "../cli/failure.ts";
import { probeFlags } from "../cli/probe-argv.ts";
import type { Outcome } from "../cli/run.ts";
import { runProbe } from "../cli/run-probe.ts";
import type { Env } from "../config/libpq-env.ts";
import { PROBE_READERS, PROBE_SETTINGS, type ProbeSettings } from "../config/probe-settings.ts";
import { type Flags, readSettings } from "../config/read-settings.ts";
import type { RequiredSeeds } from "../flow/required-seeds.ts";
import type { Source } from "../runtime/bundle-source.ts";
import { IS_BUN } from "../runtime/engine.ts";
import { readFile } from "../runtime/files.ts";
import { guarded, newShape } from "./guard.ts";
import { logFor, reach } from "./reach.ts";
import type { Program, Shape } from "./shape.ts";

const TABLE = { settings: PROBE_SETTINGS, readers: PROBE_READERS };

/** What a probe is asked. */
export interface ProbeAsked {
  readonly settings: ProbeSettings;
  readonly env: Env;
  /** Looked for when the bundle is known; missing: seeds do not matter. */
  readonly loadSeeds?: (source: Source) => Promise<RequiredSeeds | undefined>;
}

/**
 * The plain one: known flags, the bundle of this executable, no seeds.
 *
 * @returns Undefined: it is not plain, or no probe. Nothing was asked then, of nobody.
 */
export async function probePlainly(
  program: Program,
  argv: readonly string[],
): Promise<Outcome | undefined> {
  const flags = IS_BUN ? probeFlags(argv) : undefined;
  if (flags === undefined) return undefined;
  const shape = newShape(argv, program);
  shape.command = "probe";
  shape.isProbe = true;
  return guarded<Outcome | undefined>(
    program,
    shape,
    () => answerPlainly(program, shape, flags),
    (error) => failed(shape, error),
  );
}

async function answerPlainly(
  program: Program,
  shape: Shape,
  flags: Flags,
): Promise<Outcome | undefined> {
  const input = { command: "probe", flags, env: program.env, readFile } as const;
  const { settings, env } = readSettings<ProbeSettings>(TABLE, input);
  if (settings.requireSeeds || settings.dir !== undefined) return undefined;
  return askProbe(program, shape, { settings, env });
}

/** Any probe. Its time began when the process did. @throws {HeadgateError} */
export async function askProbe(
  program: Program,
  shape: Shape,
  { settings, env, loadSeeds }: ProbeAsked,
): Promise<Outcome> {
  shape.isJson = settings.json;
  shape.log = logFor(shape, settings);
  const { world, access, source } = await reach(program, shape, {
    command: "probe",
    settings,
    env,
  });
  shape.stop.after(settings.timeout - performance.now(), "--timeout");
  const seeds = loadSeeds && (await loadSeeds(source));
  return runProbe(world, access, source.head, { settings, seeds });
}
