/**
 * Answers a plain probe, hands every other command on, sets the exit status. The only user of `process`.
 *
 * The main path: `main` → `main/command.ts` → `cli/run.ts` → `flow/<command>.ts`. A probe's has nothing
 * on it that it does not need: `main` → `main/probe.ts` → `flow/probe.ts`.
 */
import { probeFlags } from "./cli/probe-argv.ts";
import type { Outcome } from "./cli/run.ts";
import { probePlainly } from "./main/probe.ts";
import { logFor } from "./main/reach.ts";
import type { Shape } from "./main/shape.ts";
import { writeStdout } from "./runtime/stdio.ts";
import { createStop } from "./runtime/stop.ts";

async function main(argv: readonly string[]): Promise<Outcome> {
  process.exitCode = 1;
  const shape: Shape = {
    isProbe: false,
    isJson: argv.includes("--json") || process.env["HEADGATE_JSON"] === "true",
    log: () => undefined,
    secrets: [],
    stop: createStop(() => shape.command),
    command: undefined,
    settings: undefined,
  };
  for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, () => shape.stop.by(name));
  shape.log = logFor(shape, { logFormat: "auto", logLevel: "info" });
  try {
    return await Promise.race([invoke(argv, shape), shape.stop.over]);
  } catch (error) {
    const { fail } = await import("./main/fail.ts");
    return fail(argv, process.env, shape, error);
  }
}

async function invoke(argv: readonly string[], shape: Shape): Promise<Outcome> {
  const flags = probeFlags(argv);
  if (flags) return probePlainly(process, shape, flags);
  const command = await import("./main/command.ts");
  return command.invoke(process, argv, shape);
}

const { stdout, exitStatus }: Outcome = await main(process.argv.slice(2));
await writeStdout(stdout);
process.exit(exitStatus);
