/**
 * Two questions, two commands. Both start servers of their own unless HARNESS_DIRECT_URL and
 * HARNESS_POOLED_URL name others.
 *
 *   npm run reproduce -- orphan                  why: a lock that outlives its client behind a pooler
 *   npm run reproduce -- replicas --replicas 6   what it does to replicas, and what headgate does
 */
import { showOrphan } from "./orphan.ts";
import { showSymptom } from "./replicas.ts";
import { Missing, openStack, readArguments, requireBinary, type Stack } from "./stack.ts";

const say = (line: string): void => console.log(line);

async function orphan(stack: Stack): Promise<boolean> {
  const { heldAfterLeaving, directGetsIt, heldAfterTransaction } = await showOrphan(stack);
  say("A client takes a session-level lock through the pooler, and leaves.");
  say(`  1. locks still held                        ${heldAfterLeaving}`);
  say(`  2. another session, directly, gets it      ${directGetsIt ? "yes" : "no"}`);
  say("A client takes a transaction-level lock through the pooler, and commits.");
  say(`  3. locks still held                        ${heldAfterTransaction}`);
  return heldAfterLeaving === 1 && !directGetsIt && heldAfterTransaction === 0;
}

async function replicas(stack: Stack, count: number): Promise<boolean> {
  const report = await showSymptom(stack, count);
  say(`${count} replicas with a session-level lock, after one was killed with it:`);
  for (const { end, tries, unlocked } of report.old) {
    const word = unlocked === false ? ", and its unlock reached another session" : "";
    say(`  ${end} after ${tries} tries${word}`);
  }
  say(`  advisory locks left behind: ${report.leftByOld}`);
  for (const row of report.dump) say(`  ${JSON.stringify(row)}`);
  say(`${count} replicas with headgate, through the same pooler:`);
  for (const { status, wallMs } of report.headgate)
    say(`  exit ${status} after ${Math.round(wallMs)} ms`);
  say(`  advisory locks left behind: ${report.leftByHeadgate}`);
  const isFine = report.headgate.every(({ status }) => status === 0) && report.leftByHeadgate === 0;
  return isFine && report.old.some(({ end }) => end === "gave up");
}

async function main([command = "", ...argv]: readonly string[]): Promise<boolean> {
  if (command !== "orphan" && command !== "replicas") {
    throw new Missing('Say what to reproduce: "orphan" or "replicas"');
  }
  const args = readArguments(argv);
  if (command === "replicas") requireBinary();
  const stack = await openStack(args);
  try {
    const isShown = await (command === "orphan" ? orphan(stack) : replicas(stack, args.replicas));
    say(isShown ? "Reproduced." : "Not reproduced: this pooler behaves otherwise.");
    return isShown;
  } finally {
    await stack.close();
  }
}

try {
  process.exitCode = (await main(process.argv.slice(2))) ? 0 : 1;
} catch (error) {
  if (!(error instanceof Missing)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}
