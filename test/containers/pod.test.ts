/** The printed objects in a real engine: what stands before the application holds it back until the schema is there. */
import { afterEach, beforeAll, expect, test } from "bun:test";
import { COMMANDS } from "../../src/config/commands.ts";
import type { Deployment, Job } from "../../src/core/kubernetes.ts";
import { APP_IMAGE, buildHeadgateImages, HEADGATE_IMAGE } from "../support/docker.ts";
import { migrationFolder } from "../support/folder.ts";
import { headgate } from "../support/headgate.ts";
import { type Pod, runJobPod, type Secrets, startPod } from "../support/kubelet.ts";
import { query } from "../support/query.ts";
import { useServers } from "../support/use-servers.ts";

const servers = useServers({ poolSize: 2 });
beforeAll(buildHeadgateImages, 120_000);

const pods: Pod[] = [];
afterEach(async () => {
  await Promise.all(pods.splice(0).map((pod) => pod.remove()));
}, 120_000);

interface Wired {
  readonly job: Job["spec"]["template"]["spec"] | undefined;
  readonly pod: Deployment["spec"]["template"]["spec"];
  readonly replicas: number;
}

async function wired(...flags: readonly string[]): Promise<Wired> {
  const images = ["--image", HEADGATE_IMAGE, "--app-image", APP_IMAGE];
  // A probe's own budget is for a machine that is not busy with tests.
  const times = ["--timeout", "20s", "--probe-timeout", "30s", "--probe-period", "30s"];
  const run = await headgate(["manifest", "kubernetes", ...images, ...times, ...flags]);
  expect([run.status, run.stderr]).toEqual([0, ""]);
  const objects = [Bun.YAML.parse(run.stdout)].flat() as readonly (Job | Deployment)[];
  const deployment = objects.find((object) => object.kind === "Deployment") as Deployment;
  const job = objects.find((object) => object.kind === "Job");
  return {
    job: job?.spec.template.spec,
    pod: deployment.spec.template.spec,
    replicas: deployment.spec.replicas,
  };
}

async function database(): Promise<{ readonly url: string; readonly secrets: Secrets }> {
  const made = await servers.postgres.createDatabase();
  const keys = { url: servers.pool.urlOf(made), "direct-url": made.url };
  return { url: made.url, secrets: { "app-database": keys } };
}

function start(spec: Wired["pod"], secrets: Secrets): Pod {
  const pod = startPod(spec, secrets);
  pod.ready.catch(() => undefined);
  pods.push(pod);
  return pod;
}

async function untilSaid(pod: Pod, container: string, text: string): Promise<void> {
  while (!(await pod.log(container)).includes(text)) await Bun.sleep(200);
}

const advisoryLocks = async (url: string): Promise<number> =>
  Number(
    (await query(url, "select count(*)::int as n from pg_locks where locktype = 'advisory'"))[0]?.[
      "n"
    ],
  );

test("a Job migrates directly; three pods behind a pooler wait for it and are never restarted", async () => {
  const { url, secrets } = await database();
  const { job, pod, replicas } = await wired("--deliver", "copy");
  const started = performance.now();
  const waiting = Array.from({ length: replicas }, () => start(pod, secrets));
  await Promise.all(waiting.map((each) => untilSaid(each, "wait-for-schema", '"state":"fresh"')));
  for (const { story } of waiting) expect(story).toEqual(["started wait-for-schema"]);

  const early = start({ ...pod, initContainers: [] }, secrets);
  while (!early.story.includes("probed app 1")) await Bun.sleep(200);

  const migrated = await runJobPod(job as NonNullable<typeof job>, secrets);
  expect([migrated.status, migrated.stderr]).toEqual([
    0,
    expect.stringContaining("Database ready"),
  ]);
  await Promise.all(waiting.map(({ ready }) => ready));
  for (const each of waiting) {
    expect(each.story).toEqual([
      "started wait-for-schema",
      "exited wait-for-schema 0",
      "started app",
      "probed app 0",
    ]);
    expect(each.restarts()).toBe(0);
  }
  await early.ready;
  expect(early.story.at(-1)).toBe("probed app 0");
  expect(await advisoryLocks(url)).toBe(0);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(
    `${replicas} pods ready ${seconds} s after their start, 0 restarts, 0 advisory locks`,
  );
}, 240_000);

test("an init container of every pod migrates: once, and each pod starts behind it", async () => {
  const { url, secrets } = await database();
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
    url,
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

test("a Job and pods of another image than the manifest's are named as such, and nothing is migrated", async () => {
  const { url, secrets } = await database();
  const other = migrationFolder({ "1_a.sql": "select 1" });
  const { job, pod } = await wired("--deliver", "copy", "--dir", other);
  const refused = await runJobPod(job as NonNullable<typeof job>, secrets);
  expect([refused.status, refused.stderr]).toEqual([
    2,
    expect.stringContaining("and the manifest was written for"),
  ]);
  const waiting = start(pod, secrets);
  await untilSaid(waiting, "wait-for-schema", "and the manifest was written for");
  expect(waiting.story).not.toContain("started app");
  expect(await query(url, "select from pg_tables where schemaname = 'public'")).toEqual([]);
}, 240_000);

/** Where the binary can copy itself: the probe runs from the shared volume, not from the image. */
if ("install" in COMMANDS) {
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
}
