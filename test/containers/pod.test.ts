/** The printed objects in a real engine: what stands before the application holds it back until the schema is there. */
import { afterEach, beforeAll, expect, test } from "bun:test";
import type { PodSpec } from "../../src/core/kubernetes.ts";
import { showMismatch, showRollout, untilSaid } from "../harness/rollout.ts";
import type { Stack } from "../harness/stack.ts";
import { buildHeadgateImages } from "../support/docker.ts";
import { type Pod, runJobPod, type Secrets, startPod } from "../support/kubelet.ts";
import { query } from "../support/query.ts";
import { useServers } from "../support/use-servers.ts";
import { secretsOf, wired } from "../support/wired-pods.ts";

const servers = useServers({ poolSize: 2 });
beforeAll(buildHeadgateImages, 120_000);

const pods: Pod[] = [];
afterEach(async () => {
  await Promise.all(pods.splice(0).map((pod) => pod.remove()));
}, 120_000);

async function database(): Promise<{ readonly stack: Stack; readonly secrets: Secrets }> {
  const made = await servers.postgres.createDatabase();
  const pooled = servers.pool.urlOf(made);
  const stack = { direct: made.url, pooled, close: async () => undefined };
  return { stack, secrets: secretsOf(stack) };
}

function start(spec: PodSpec, secrets: Secrets): Pod {
  const pod = startPod(spec, secrets);
  pod.ready.catch(() => undefined);
  pods.push(pod);
  return pod;
}

test("a Job migrates directly; three pods behind a pooler wait for it and are never restarted", async () => {
  const { stack, secrets } = await database();
  const { pod } = await wired("--deliver", "copy");
  const early = start({ ...pod, initContainers: [] }, secrets);
  while (!early.story.includes("probed app 1")) await Bun.sleep(200);
  const { heldBack, job, pods: waited, readyMs, advisoryLocks } = await showRollout(stack);
  expect(heldBack).toBe(true);
  expect([job.status, job.stderr]).toEqual([0, expect.stringContaining("Database ready")]);
  const story = ["started wait-for-schema", "exited wait-for-schema 0", "started app"];
  const calm = { story: [...story, "probed app 0"], restarts: 0 };
  expect(waited).toEqual([calm, calm, calm]);
  expect(advisoryLocks).toBe(0);
  await early.ready;
  expect(early.story.at(-1)).toBe("probed app 0");
  console.log(`3 pods ready ${Math.round(readyMs)} ms after their start, 0 restarts`);
}, 240_000);

test("an init container of every pod migrates: once, and each pod starts behind it", async () => {
  const { stack, secrets } = await database();
  const { pod } = await wired("--deliver", "copy", "--owner", "init");
  const starting = [start(pod, secrets), start(pod, secrets)];
  await Promise.all(starting.map(({ ready }) => ready));
  for (const each of starting) {
    expect(each.story).toEqual([
      "started migrate",
      "exited migrate 0",
      "started app",
      "probed app 0",
    ]);
  }
  const [row] = await query(
    stack.direct,
    "select count(distinct run_id)::int as n from headgate_migrations",
  );
  expect(row?.["n"]).toBe(1);
}, 240_000);

test("a sidecar holds back an application that has no headgate, and ends at once with its pod", async () => {
  const { secrets } = await database();
  const { job, pod } = await wired("--deliver", "sidecar");
  const waiting = start(pod, secrets);
  while (!waiting.story.includes("probed headgate 1")) await Bun.sleep(200);
  expect(waiting.story).not.toContain("started app");
  expect((await runJobPod(job as NonNullable<typeof job>, secrets)).status).toBe(0);
  await waiting.ready;
  expect(waiting.story.slice(-2)).toEqual(["probed headgate 0", "started app"]);
  await untilSaid(waiting, "headgate", "Database ready");
  expect(await waiting.terminate("headgate")).toBe(0);
}, 240_000);

test("a Job and a pod of another image than the manifest's are named as such, and nothing is migrated", async () => {
  const { stack } = await database();
  const { job, pod, hasStarted, tables } = await showMismatch(stack);
  const named = expect.stringMatching(
    /it is \w{12} \(head 1\), and the manifest was written for \w{12}/,
  );
  expect([job.status, job.stderr, pod]).toEqual([2, named, named]);
  expect([hasStarted, tables]).toEqual([false, []]);
}, 240_000);

test("an init container installs the binary where the application's probe finds it", async () => {
  const { secrets } = await database();
  const { job, pod } = await wired();
  const waiting = start(pod, secrets);
  await untilSaid(waiting, "wait-for-schema", '"state":"fresh"');
  expect((await runJobPod(job as NonNullable<typeof job>, secrets)).status).toBe(0);
  await waiting.ready;
  expect(waiting.story).toEqual([
    "started install-headgate",
    "exited install-headgate 0",
    "started wait-for-schema",
    "exited wait-for-schema 0",
    "started app",
    "probed app 0",
  ]);
}, 240_000);
