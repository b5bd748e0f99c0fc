/** The containers of the printed objects. Every value of theirs comes from one `Wiring`. */
import type { Container, ContainerSecurity, EnvVar, ExecProbe, PodSpec } from "./kubernetes.ts";
import { seedsSecret, skips, type Wiring } from "./wiring.ts";

/** Where the image has the binary. */
const IN_IMAGE = "/headgate";
const SHARED_FOLDER = "/headgate-bin";
const SHARED_VOLUME = "headgate-bin";

/** No fixed user: the image brings one, and OpenShift assigns its own. */
export const POD_SECURITY: PodSpec["securityContext"] = {
  runAsNonRoot: true,
  seccompProfile: { type: "RuntimeDefault" },
};
const SECURITY: ContainerSecurity = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ["ALL"] },
};

/** Brings the schema to head: of a Job, or in front of every application. */
export function migrateContainer(wiring: Wiring): Container {
  return ours("migrate", wiring, {
    args: ["up"],
    env: [...addresses(wiring), ...limits(wiring), ...skipping(false), expecting(wiring)],
    envFrom: [{ secretRef: { name: seedsSecret(wiring), optional: true } }],
    memory: "256Mi",
  });
}

/** Holds the application back. */
export function waitContainer(wiring: Wiring): Container {
  return ours("wait-for-schema", wiring, { args: ["wait"], env: waiting(wiring) });
}

/** Holds the application back by a startup probe of its own; needs nothing in its image. */
export function sidecarContainer(wiring: Wiring): Container {
  const { name, image, ...others } = ours("headgate", wiring, {
    args: ["wait", "--stay"],
    env: [...waiting(wiring), budget(wiring)],
  });
  const startupProbe = probeBy(IN_IMAGE, wiring);
  return { name, image, restartPolicy: "Always", ...others, startupProbe };
}

/** Copies the binary to where the application's container finds it. */
export function installContainer(wiring: Wiring): Container {
  const volumeMounts = [{ name: SHARED_VOLUME, mountPath: SHARED_FOLDER }];
  return {
    ...ours("install-headgate", wiring, { args: ["install", SHARED_FOLDER] }),
    volumeMounts,
  };
}

/**
 * The application itself, with the probe where it has the binary.
 *
 * @param env All of it: the user's, and what `appEnv` says behind it.
 */
export function appContainer(wiring: Wiring, env: readonly EnvVar[]): Container {
  const { delivery } = wiring;
  const mount = { name: SHARED_VOLUME, mountPath: SHARED_FOLDER, readOnly: true };
  const binary = delivery === "install" ? `${SHARED_FOLDER}/headgate` : IN_IMAGE;
  return {
    name: "app",
    image: wiring.appImage,
    env,
    ...(delivery === "sidecar" ? {} : { startupProbe: probeBy(binary, wiring) }),
    securityContext: SECURITY,
    ...(delivery === "install" ? { volumeMounts: [mount] } : {}),
  };
}

/** What stands behind the user's own variables: of two equal names the last one counts. */
export function appEnv(wiring: Wiring): readonly EnvVar[] {
  const asks = wiring.delivery === "sidecar" ? [] : [...probing(wiring), budget(wiring)];
  return [...asks, ...skipping(skips(wiring.owner))];
}

/** What the application needs besides when it migrates itself. */
export function ownerEnv(wiring: Wiring): readonly EnvVar[] {
  return [direct(wiring), ...limits(wiring)];
}

/** For `--deliver install`. */
export const SHARED_VOLUMES: NonNullable<PodSpec["volumes"]> = [
  { name: SHARED_VOLUME, emptyDir: {} },
];

interface Own {
  readonly args: readonly string[];
  readonly env?: readonly EnvVar[];
  readonly envFrom?: NonNullable<Container["envFrom"]>;
  readonly memory?: string;
}

function ours(name: string, { image }: Wiring, own: Own): Container {
  const { memory = "128Mi", ...others } = own;
  return {
    name,
    image,
    ...others,
    resources: { requests: { cpu: "10m", memory: "64Mi" }, limits: { memory } },
    securityContext: { ...SECURITY, readOnlyRootFilesystem: true },
    terminationMessagePolicy: "FallbackToLogsOnError",
  };
}

function probeBy(binary: string, wiring: Wiring): ExecProbe {
  return {
    exec: { command: [binary, "probe"] },
    timeoutSeconds: wiring.probeTimeoutS,
    periodSeconds: wiring.probePeriodS,
    failureThreshold: wiring.probeFailures,
  };
}

function waiting(wiring: Wiring): readonly EnvVar[] {
  return [...probing(wiring), { name: "HEADGATE_DEADLINE", value: `${wiring.windowS}s` }];
}

function probing(wiring: Wiring): readonly EnvVar[] {
  return [mainAddress(wiring), expecting(wiring)];
}

function addresses(wiring: Wiring): readonly EnvVar[] {
  return [mainAddress(wiring), direct(wiring)];
}

function mainAddress({ secret, urlKey }: Wiring): EnvVar {
  const secretKeyRef = { name: secret, key: urlKey };
  return { name: "HEADGATE_DATABASE_URL", valueFrom: { secretKeyRef } };
}

/** Optional: without a pooler there is no such key, and with one alone everything goes through it. */
function direct({ secret, directUrlKey }: Wiring): EnvVar {
  const secretKeyRef = { name: secret, key: directUrlKey, optional: true };
  return { name: "HEADGATE_MIGRATION_DATABASE_URL", valueFrom: { secretKeyRef } };
}

function limits({ lockWaitS, upDeadlineS }: Wiring): readonly EnvVar[] {
  return [
    { name: "HEADGATE_LOCK_WAIT", value: `${lockWaitS}s` },
    { name: "HEADGATE_DEADLINE", value: `${upDeadlineS}s` },
  ];
}

function budget({ probeBudgetMs }: Wiring): EnvVar {
  return { name: "HEADGATE_TIMEOUT", value: `${probeBudgetMs}ms` };
}

function expecting({ expected }: Wiring): EnvVar {
  return { name: "HEADGATE_EXPECT_BUNDLE", value: expected };
}

/** Both names: the gateway reads its own. */
function skipping(isSkipping: boolean): readonly EnvVar[] {
  const value = String(isSkipping);
  return ["HEADGATE_SKIP_MIGRATIONS", "MCPGATEWAY_SKIP_MIGRATIONS"].map((name) => ({
    name,
    value,
  }));
}
