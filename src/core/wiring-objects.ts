/** Job and Deployment, from one `Wiring`. */
import { fingerprintOf } from "./checksum.ts";
import type { Container, Deployment, EnvVar, Job, Metadata, PodTemplate } from "./kubernetes.ts";
import type { JobKind, Owner, Wiring } from "./wiring.ts";
import {
  appContainer,
  appEnv,
  installContainer,
  migrateContainer,
  ownerEnv,
  POD_SECURITY,
  SHARED_VOLUMES,
  sidecarContainer,
  waitContainer,
} from "./wiring-pod.ts";

/** The note that names a mismatch of Job and pods before anything runs. */
const BUNDLE_NOTE = "headgate/bundle";
const BACKOFF_LIMIT = 3;
/** Long enough to read the log of a Job in the morning. */
const TTL_S = 86_400;
const SPEC_DIGEST_LENGTH = 6;
const BUNDLE_DIGEST_LENGTH = 10;

/** As `manifest kubernetes` prints them: the owner first. */
export function objectsOf(wiring: Wiring): readonly (Job | Deployment)[] {
  const pods = deploymentOf(wiring, {
    initContainers: initContainersOf(wiring),
    env: [...(wiring.owner === "app" ? ownerEnv(wiring) : []), ...appEnv(wiring)],
  });
  return wiring.owner === "job" ? [jobOf(wiring), pods] : [pods];
}

/**
 * A Job cannot be changed once it is there, so another one has another name: it ends in the bundle's
 * fingerprint, and before that in a digest of everything else.
 *
 * @param name When it is not to be made here.
 */
export function jobOf(wiring: Wiring, name?: string): Job {
  const job = {
    activeDeadlineSeconds: wiring.jobDeadlineS,
    backoffLimit: BACKOFF_LIMIT,
    ...(wiring.jobKind === "plain" ? { ttlSecondsAfterFinished: TTL_S } : {}),
    template: jobPod(wiring),
  };
  const digest = fingerprintOf(job).slice(0, SPEC_DIGEST_LENGTH);
  const bundle = wiring.fingerprint.slice(0, BUNDLE_DIGEST_LENGTH);
  const { labels, annotations } = migrateNotes(wiring);
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: {
      name: name ?? `${wiring.name}-migrate-${digest}-${bundle}`,
      labels,
      annotations: { ...annotations, ...HOOKS[wiring.jobKind] },
    },
    spec: job,
  };
}

/** Before the pods, and kept afterwards: its log says what happened. */
const HOOKS: Readonly<Record<JobKind, Readonly<Record<string, string>>>> = {
  plain: {},
  helm: {
    "helm.sh/hook": "pre-install,pre-upgrade",
    "helm.sh/hook-delete-policy": "before-hook-creation",
  },
  argo: {
    "argocd.argoproj.io/hook": "Sync",
    "argocd.argoproj.io/hook-delete-policy": "BeforeHookCreation",
    "argocd.argoproj.io/sync-wave": "-1",
  },
};

function jobPod(wiring: Wiring): PodTemplate {
  return {
    metadata: migrateNotes(wiring),
    spec: {
      restartPolicy: "Never",
      automountServiceAccountToken: false,
      securityContext: POD_SECURITY,
      containers: [migrateContainer(wiring)],
    },
  };
}

/** What differs by owner. */
export interface PodParts {
  readonly initContainers: readonly Container[];
  readonly env: readonly EnvVar[];
}

/** The application's pods. */
export function deploymentOf(wiring: Wiring, { initContainers, env }: PodParts): Deployment {
  const { labels, annotations } = notes(wiring.name, wiring);
  const init = initContainers.length > 0 ? { initContainers } : {};
  const volumes = wiring.delivery === "install" ? { volumes: SHARED_VOLUMES } : {};
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: wiring.name, labels, annotations },
    spec: {
      replicas: wiring.replicas,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels, annotations },
        spec: {
          securityContext: POD_SECURITY,
          ...init,
          containers: [appContainer(wiring, env)],
          ...volumes,
        },
      },
    },
  };
}

function initContainersOf(wiring: Wiring): readonly Container[] {
  const installed = wiring.delivery === "install" ? [installContainer(wiring)] : [];
  return [...installed, ...gatesOf(wiring, wiring.owner)];
}

function gatesOf(wiring: Wiring, owner: Owner): readonly Container[] {
  if (owner === "app") return [];
  const sidecar = wiring.delivery === "sidecar" ? [sidecarContainer(wiring)] : [];
  if (owner === "init") return [migrateContainer(wiring), ...sidecar];
  return sidecar.length > 0 ? sidecar : [waitContainer(wiring)];
}

/** Another name than the application's: its Service must not find the Job. */
function migrateNotes(wiring: Wiring): Omit<Metadata, "name"> {
  return notes(`${wiring.name}-migrate`, wiring);
}

function notes(name: string, { fingerprint }: Wiring): Omit<Metadata, "name"> {
  return {
    labels: { "app.kubernetes.io/name": name },
    annotations: { [BUNDLE_NOTE]: fingerprint },
  };
}
