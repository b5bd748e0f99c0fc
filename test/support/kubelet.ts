/**
 * What a kubelet does with a pod, as far as a start depends on it: init containers one after the other
 * and again when they fail, native sidecars that hold the next one back by their startup probe, then
 * the application and its own. Every container runs as a user that no image knows, as on OpenShift,
 * and under the security context and the memory limit of the manifest.
 */
import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Container, EnvVar, PodSpec } from "../../src/core/kubernetes.ts";
import { docker, type Ended } from "./docker.ts";
import { createScratchFolder } from "./scratch.ts";

const FOREIGN_USER = "1000660000:0";
const RETRY_MS = 500;
const RETRIES_MAX = 20;
const EXIT_CODE = "{{.State.ExitCode}}";

export type Secrets = Readonly<Record<string, Readonly<Record<string, string>>>>;

export interface Pod {
  /** Resolves when every startup probe has passed. */
  readonly ready: Promise<void>;
  /** What happened, in order: `started migrate`, `exited migrate 0`, `probed app 1`. */
  readonly story: readonly string[];
  /** Containers that had to be started again. */
  restarts(): number;
  /** A container's stderr. */
  log(container: string): Promise<string>;
  /** SIGTERM, as at the end of a pod; the exit status. */
  terminate(container: string): Promise<number>;
  remove(): Promise<void>;
}

let pods = 0;

export function startPod(spec: PodSpec, secrets: Secrets): Pod {
  pods += 1;
  const prefix = `headgate-pod-${process.pid}-${pods}`;
  const folder = createScratchFolder("pod");
  chmodSync(folder, 0o755);
  const state: State = {
    prefix,
    folder,
    secrets,
    story: [],
    running: [],
    restarts: 0,
    over: false,
  };
  return {
    ready: bringUp(spec, state),
    story: state.story,
    restarts: () => state.restarts,
    log: async (name) => (await docker("logs", `${prefix}-${name}`)).stderr,
    terminate: async (name) => {
      await docker("stop", "--time", "10", `${prefix}-${name}`);
      const { stdout } = await docker("inspect", "--format", EXIT_CODE, `${prefix}-${name}`);
      return Number(stdout);
    },
    remove: () => remove(state),
  };
}

/** A pod of a Job: its one container, to its end. */
export async function runJobPod(spec: PodSpec, secrets: Secrets): Promise<Ended> {
  const pod = startPod({ ...spec, initContainers: spec.containers, containers: [] }, secrets);
  const [container] = spec.containers;
  await pod.ready.catch(() => undefined);
  const log = await pod.log(container?.name ?? "");
  const exit = pod.story
    .find((line) => line.startsWith("exited"))
    ?.split(" ")
    .at(-1);
  await pod.remove();
  return { status: Number(exit), stdout: "", stderr: log };
}

interface State {
  readonly prefix: string;
  readonly folder: string;
  readonly secrets: Secrets;
  readonly story: string[];
  readonly running: string[];
  restarts: number;
  over: boolean;
}

async function bringUp(spec: PodSpec, state: State): Promise<void> {
  for (const container of spec.initContainers ?? []) {
    if (container.restartPolicy === "Always") {
      await launch(container, state);
      await probe(container, state);
    } else await complete(container, state, spec.restartPolicy !== "Never");
  }
  for (const container of spec.containers) await launch(container, state);
  for (const container of spec.containers) await probe(container, state);
}

async function complete(container: Container, state: State, retries: boolean): Promise<void> {
  for (let i = 0; i < RETRIES_MAX && !state.over; i += 1) {
    await launch(container, state);
    const { stdout } = await docker("wait", nameOf(container, state));
    state.story.push(`exited ${container.name} ${stdout.trim()}`);
    if (stdout.trim() === "0") return;
    if (!retries) break;
    state.restarts += 1;
    await Bun.sleep(RETRY_MS);
  }
  throw new Error(`${container.name} did not succeed: ${state.story.join(", ")}`);
}

async function launch(container: Container, state: State): Promise<void> {
  const name = nameOf(container, state);
  await docker("rm", "--force", "--volumes", name);
  const { status, stderr } = await docker(
    ...["run", "--detach", "--name", name, "--network", "host", "--user", FOREIGN_USER],
    ...security(container),
    ...mounts(container, state),
    ...(container.env ?? []).flatMap((variable) => environment(variable, state.secrets)),
    container.image,
    ...(container.args ?? []),
  );
  if (status !== 0) throw new Error(`${name} does not start: ${stderr}`);
  if (!state.running.includes(name)) state.running.push(name);
  state.story.push(`started ${container.name}`);
}

async function probe(container: Container, state: State): Promise<void> {
  const { startupProbe } = container;
  if (!startupProbe) return;
  for (let i = 0; i < startupProbe.failureThreshold && !state.over; i += 1) {
    const limit = ["timeout", String(startupProbe.timeoutSeconds + 60)]; // a busy machine must not decide
    const command = ["docker", "exec", nameOf(container, state), ...startupProbe.exec.command];
    const child = Bun.spawn([...limit, ...command], { stdout: "ignore", stderr: "ignore" });
    const status = await child.exited;
    state.story.push(`probed ${container.name} ${status}`);
    if (status === 0) return;
    await Bun.sleep(RETRY_MS); // not the period: a test has no time
  }
  throw new Error(`${container.name} never became ready: ${state.story.join(", ")}`);
}

function security({ securityContext, resources }: Container): readonly string[] {
  const { allowPrivilegeEscalation, capabilities, readOnlyRootFilesystem } = securityContext;
  const memory = resources?.limits.memory.replace("Mi", "m");
  return [
    ...(allowPrivilegeEscalation ? [] : ["--security-opt", "no-new-privileges"]),
    ...capabilities.drop.flatMap((name) => ["--cap-drop", name]),
    ...(readOnlyRootFilesystem ? ["--read-only"] : []),
    ...(memory === undefined ? [] : ["--memory", memory]),
  ];
}

/** An emptyDir is everybody's. */
function mounts({ volumeMounts = [] }: Container, { folder }: State): readonly string[] {
  return volumeMounts.flatMap(({ name, mountPath, readOnly }) => {
    const path = join(folder, name);
    mkdirSync(path, { recursive: true });
    chmodSync(path, 0o777);
    return ["--volume", `${path}:${mountPath}${readOnly ? ":ro" : ""}`];
  });
}

function environment({ name, value, valueFrom }: EnvVar, secrets: Secrets): readonly string[] {
  if (valueFrom === undefined) return ["--env", `${name}=${value ?? ""}`];
  const { name: secret, key, optional } = valueFrom.secretKeyRef;
  const found = secrets[secret]?.[key];
  if (found !== undefined) return ["--env", `${name}=${found}`];
  if (optional === true) return [];
  throw new Error(`Secret ${secret} has no key ${key}`);
}

async function remove(state: State): Promise<void> {
  state.over = true;
  if (state.running.length > 0) await docker("rm", "--force", "--volumes", ...state.running);
}

function nameOf({ name }: Container, { prefix }: State): string {
  return `${prefix}-${name}`;
}
