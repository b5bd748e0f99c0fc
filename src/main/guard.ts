/** What every run stands in: signals are heard, and whatever goes wrong is an answer. */
import { createStop } from "../runtime/stop.ts";
import { logFor } from "./reach.ts";
import type { Program, Shape } from "./shape.ts";

/** Of a run of which only argv and environment are known. */
export function newShape(argv: readonly string[], { env }: Program): Shape {
  const shape: Shape = {
    isProbe: false,
    isJson: argv.includes("--json") || env["HEADGATE_JSON"] === "true",
    log: () => undefined,
    secrets: [],
    stop: createStop(() => shape.command),
    command: undefined,
    settings: undefined,
  };
  shape.log = logFor(shape, { logFormat: "auto", logLevel: "info" });
  return shape;
}

/** Ends with what `run` gives, or else with what `fail` makes of its error, or of the wish to stop. */
export async function guarded<T>(
  program: Program,
  shape: Shape,
  run: () => Promise<T>,
  fail: (error: unknown) => T | Promise<T>,
): Promise<T> {
  for (const name of ["SIGINT", "SIGTERM"] as const) program.on(name, () => shape.stop.by(name));
  try {
    return await Promise.race([run(), shape.stop.over]);
  } catch (error) {
    return fail(error);
  }
}
