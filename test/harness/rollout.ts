/** The image at work: a Job and three pods behind a pooler, and then a pair of images that do not belong together. */
import { join } from "node:path";
import { buildImage, type Ended } from "../support/docker.ts";
import { migrationFolder } from "../support/folder.ts";
import { headgate } from "../support/headgate.ts";
import { type Pod, runJobPod, startPod } from "../support/kubelet.ts";
import { query, tablesOf } from "../support/query.ts";
import { createScratchFolder } from "../support/scratch.ts";
import { secretsOf, wired } from "../support/wired-pods.ts";
import type { Stack } from "./stack.ts";

/** headgate's image, but for what it carries. */
const OTHER_IMAGE = "headgate-test/headgate:other";
/** What a mismatch is named by. */
const MISMATCH = "and the manifest was written for";
const COPY = ["--deliver", "copy"];
const SAID_WITHIN_MS = 120_000;

export interface RolloutReport {
  /** Before the Job: no application ran. */
  readonly heldBack: boolean;
  readonly job: Ended;
  readonly pods: readonly { readonly story: readonly string[]; readonly restarts: number }[];
  /** From the start of the pods until all of them were ready. */
  readonly readyMs: number;
  readonly advisoryLocks: number;
}

/** The pods start first, and the Job once each of them waits. */
export async function showRollout(stack: Stack): Promise<RolloutReport> {
  const secrets = secretsOf(stack);
  const { job, pod, replicas } = await wired(...COPY);
  if (!job) throw new Error("the manifest has no Job");
  const startMs = performance.now();
  const pods = Array.from({ length: replicas }, () => startPod(pod, secrets));
  try {
    await Promise.all(pods.map((each) => untilSaid(each, "wait-for-schema", '"state":"fresh"')));
    const heldBack = pods.every(({ story }) => story.join() === "started wait-for-schema");
    const ended = await runJobPod(job, secrets);
    await Promise.all(pods.map(({ ready }) => ready));
    return {
      heldBack,
      job: ended,
      pods: pods.map(({ story, restarts }) => ({ story, restarts: restarts() })),
      readyMs: performance.now() - startMs,
      advisoryLocks: await locksAt(stack.direct),
    };
  } finally {
    await Promise.all(pods.map((each) => each.remove()));
  }
}

export interface MismatchReport {
  /** What the other image says, as the Job and as a pod's init container. */
  readonly job: Ended;
  readonly pod: string;
  readonly hasStarted: boolean;
  readonly tables: readonly string[];
}

/** Manifest and pods are of the image; first the Job, then a pod has another one. */
export async function showMismatch(stack: Stack): Promise<MismatchReport> {
  const secrets = secretsOf(stack);
  await buildOtherImage();
  const { job, pod } = await wired(...COPY);
  if (!job) throw new Error("the manifest has no Job");
  const refused = await runJobPod(ofOtherImage(job, "containers"), secrets);
  const waiting = startPod(ofOtherImage(pod, "initContainers"), secrets);
  waiting.ready.catch(() => undefined);
  try {
    const log = await untilSaid(waiting, "wait-for-schema", MISMATCH);
    return {
      job: refused,
      pod: log,
      hasStarted: waiting.story.includes("started app"),
      tables: await tablesOf(stack.direct),
    };
  } finally {
    await waiting.remove();
  }
}

/** @throws {Error} when a container has not logged it in time; else what it has logged by then. */
export async function untilSaid(pod: Pod, container: string, text: string): Promise<string> {
  const endMs = performance.now() + SAID_WITHIN_MS;
  for (;;) {
    const log = await pod.log(container);
    if (log.includes(text)) return log;
    if (performance.now() > endMs) throw new Error(`${container} does not say ${text}: ${log}`);
    await Bun.sleep(200);
  }
}

async function locksAt(url: string): Promise<number> {
  const sql = "select count(*)::int as n from pg_locks where locktype = 'advisory'";
  const [row] = await query(url, sql);
  return Number(row?.["n"]);
}

/** By `headgate bundle`, as a user makes an image. */
async function buildOtherImage(): Promise<void> {
  const binary = join(createScratchFolder("other"), "headgate");
  const migrations = migrationFolder({ "1_other.sql": "create table other ();" });
  const made = await headgate(["bundle", "--migrations", migrations, "-o", binary]);
  if (made.status !== 0) throw new Error(`bundle does not write: ${made.stderr}`);
  buildImage(binary, OTHER_IMAGE);
}

type Spec = Parameters<typeof startPod>[0];

function ofOtherImage(spec: Spec, part: "containers" | "initContainers"): Spec {
  return { ...spec, [part]: spec[part]?.map((each) => ({ ...each, image: OTHER_IMAGE })) };
}
