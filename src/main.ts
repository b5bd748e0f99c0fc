/**
 * Answers a plain probe, or hands everything over; sets the exit status. The only user of `process`.
 *
 * The main path: `main` → `main/command.ts` → `cli/run.ts` → `flow/<command>.ts`. A probe's has nothing
 * on it that it does not need: `main` → `main/probe.ts` → `flow/probe.ts`.
 */
import type { Outcome } from "./cli/run.ts";
import { probePlainly } from "./main/probe.ts";
import { writeStdout } from "./runtime/stdio.ts";

async function main(argv: readonly string[]): Promise<Outcome> {
  process.exitCode = 1;
  const answer = await probePlainly(process, argv);
  if (answer) return answer;
  const { runCommand } = await import("./main/command.ts");
  return runCommand(process, argv);
}

const { stdout, exitStatus }: Outcome = await main(process.argv.slice(2));
await writeStdout(stdout);
process.exit(exitStatus);
