/**
 * `npm run rollout`, in a container engine: makes the image from this checkout, lets three pods wait for a Job behind
 * PgBouncer, and then gives Job and pods images that do not belong together. Needs the Debian packages busybox-static
 * and pgbouncer; exit status 0 only if everything held.
 */
import { execFileSync } from "node:child_process";
import process from "node:process";
import { ROOT } from "../../.ci/compile.ts";
import { buildHeadgateImages } from "../support/docker.ts";
import { type MismatchReport, type RolloutReport, showMismatch, showRollout } from "./rollout.ts";
import { openStack } from "./stack.ts";

const OWN = { replicas: 3, destructive: false, database: undefined };
const say = (line: string): void => console.log(line);

function make(script: string): void {
  execFileSync(process.execPath, [script], { cwd: ROOT, stdio: "inherit" });
}

function sayRollout({ heldBack, job, pods, ...after }: RolloutReport): boolean {
  const { readyMs, advisoryLocks } = after;
  say(
    `\nPods ${heldBack ? "held back" : "not held back"} until the Job ran. It ended with ${job.status}; ${pods.length} pods through PgBouncer, pool of 2:`,
  );
  for (const { story, restarts } of pods) say(`  ${restarts} restarts: ${story.join(", ")}`);
  const seconds = (readyMs / 1000).toFixed(1);
  say(`  all ready ${seconds} s after their start, ${advisoryLocks} advisory locks left behind`);
  const isCalm = pods.every(({ restarts, story }) => restarts === 0 && story.at(-1) === READY);
  return heldBack && job.status === 0 && pods.length === 3 && isCalm && advisoryLocks === 0;
}

const READY = "probed app 0";

function sayMismatch({ job, pod, hasStarted, tables }: MismatchReport): boolean {
  say("\nAn image with another bundle, where the manifest was printed by this one:");
  say(`  as the Job, exit ${job.status}: ${reasonIn(job.stderr)}`);
  say(`  as a pod, application ${hasStarted ? "started" : "held back"}: ${reasonIn(pod)}`);
  say(`  tables made: ${tables.length}`);
  return job.status === 2 && !hasStarted && tables.length === 0;
}

/** Of the first event that has one. */
function reasonIn(log: string): string {
  return /"reason":"([^"]*)"/.exec(log)?.[1] ?? log;
}

async function main(): Promise<boolean> {
  make(".ci/image.ts");
  make("test/support/build-images.ts");
  buildHeadgateImages();
  const stack = await openStack(OWN);
  try {
    const mismatch = await showMismatch(stack);
    const rollout = await showRollout(stack);
    const isGood = [sayRollout(rollout), sayMismatch(mismatch)].every(Boolean);
    say(isGood ? "\nEverything held." : "\nNot everything held.");
    return isGood;
  } finally {
    await stack.close();
  }
}

process.exitCode = (await main()) ? 0 : 1;
