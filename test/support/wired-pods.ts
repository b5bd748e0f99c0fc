/** What `manifest kubernetes` prints, as objects of which each can be started. */
import type { Deployment, Job, PodSpec } from "../../src/core/kubernetes.ts";
import { APP_IMAGE, HEADGATE_IMAGE } from "./docker.ts";
import { headgate } from "./headgate.ts";
import type { Secrets } from "./kubelet.ts";

export interface Wired {
  /** Missing: no Job migrates. */
  readonly job: PodSpec | undefined;
  readonly pod: PodSpec;
  readonly replicas: number;
}

/** @throws {Error} when nothing is printed */
export async function wired(...flags: readonly string[]): Promise<Wired> {
  const images = ["--image", HEADGATE_IMAGE, "--app-image", APP_IMAGE];
  // A probe's own budget is for a machine that is not busy with tests.
  const times = ["--timeout", "20s", "--probe-timeout", "30s", "--probe-period", "30s"];
  const run = await headgate(["manifest", "kubernetes", ...images, ...times, ...flags]);
  if (run.status !== 0) throw new Error(`manifest does not print: ${run.stderr}`);
  const objects = [Bun.YAML.parse(run.stdout)].flat() as readonly (Job | Deployment)[];
  const deployment = objects.find((object) => object.kind === "Deployment") as Deployment;
  const job = objects.find((object) => object.kind === "Job");
  return {
    job: job?.spec.template.spec,
    pod: deployment.spec.template.spec,
    replicas: deployment.spec.replicas,
  };
}

/** As the printed objects want them: the application through the pooler, migrations past it. */
export function secretsOf({ direct, pooled }: { direct: string; pooled: string }): Secrets {
  return { "app-database": { url: pooled, "direct-url": direct } };
}
