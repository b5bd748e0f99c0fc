/** The way out of whatever went wrong. */
import { failed } from "../cli/failure.ts";
import { terminationLogOf } from "../cli/last-words.ts";
import type { Outcome } from "../cli/run.ts";
import type { Env } from "../config/libpq-env.ts";
import type { Shape } from "./shape.ts";

/** Says it where it is looked for; never throws. */
export async function fail(
  argv: readonly string[],
  env: Env,
  shape: Shape,
  error: unknown,
): Promise<Outcome> {
  const { lastWords, ...outcome } = failed(shape, error);
  const log = terminationLogOf(shape, argv, env);
  if (log === undefined) return outcome;
  const { writeTerminationLog } = await import("../runtime/termination-log.ts");
  const reason = writeTerminationLog(log.file, lastWords);
  if (reason !== undefined) shape.log("termination.unlogged", { file: log.file, reason });
  return outcome;
}
