import { describe, expect, test } from "bun:test";
import type { Container, Deployment, EnvVar, Job } from "../../src/core/kubernetes.ts";
import {
  type Delivery,
  deriveWiring,
  type JobKind,
  type Owner,
  type Wiring,
  wiringProblems,
} from "../../src/core/wiring.ts";
import { jobOf, objectsOf } from "../../src/core/wiring-objects.ts";

const OWNERS: readonly Owner[] = ["job", "init", "app"];
const DELIVERIES: readonly Delivery[] = ["install", "copy", "sidecar"];

function wiring(changes: Partial<Wiring> = {}): Wiring {
  return deriveWiring({
    owner: "job",
    delivery: "install",
    jobKind: "plain",
    name: "app",
    image: "headgate:1",
    appImage: "app:1",
    secret: "app-database",
    urlKey: "url",
    directUrlKey: "direct-url",
    replicas: 3,
    fingerprint: "0123456789abcdef".repeat(4),
    jobDeadlineS: 600,
    lockWaitS: 300,
    probeBudgetMs: 900,
    probeTimeoutS: 2,
    probePeriodS: 5,
    probeFailures: 132,
    ...changes,
  });
}

function isDeployment(object: Job | Deployment): object is Deployment {
  return object.kind === "Deployment";
}

function podsOf(given: Wiring): Deployment["spec"]["template"]["spec"] {
  const [deployment] = objectsOf(given).filter(isDeployment);
  if (!deployment) throw new Error("no Deployment");
  return deployment.spec.template.spec;
}

function allContainers(given: Wiring): readonly Container[] {
  return objectsOf(given).flatMap(({ spec }) => [
    ...(spec.template.spec.initContainers ?? []),
    ...spec.template.spec.containers,
  ]);
}

function lastValue(env: readonly EnvVar[] = [], name: string): string | undefined {
  return env.findLast((variable) => variable.name === name)?.value;
}

/** `--owner app --deliver sidecar` is refused. */
const COMBINATIONS = OWNERS.flatMap((owner) =>
  DELIVERIES.map((delivery) => ({ owner, delivery })),
).filter(({ owner, delivery }) => owner !== "app" || delivery !== "sidecar");

describe.each(COMBINATIONS)("owner $owner, delivery $delivery", ({ owner, delivery }) => {
  const given = wiring({ owner, delivery });
  const pods = podsOf(given);
  const [app] = pods.containers;

  test("has one owner, and pods skip exactly when it is not the application", () => {
    const owners = allContainers(given).filter(({ args }) => args?.[0] === "up");
    expect(owners).toHaveLength(owner === "app" ? 0 : 1);
    for (const each of owners)
      expect(lastValue(each.env, "HEADGATE_SKIP_MIGRATIONS")).toBe("false");
    for (const name of ["HEADGATE_SKIP_MIGRATIONS", "MCPGATEWAY_SKIP_MIGRATIONS"]) {
      expect(lastValue(app?.env, name)).toBe(owner === "app" ? "false" : "true");
    }
  });

  test("has the binary where its probe runs", () => {
    const probes: Readonly<Record<Delivery, readonly string[] | undefined>> = {
      install: ["/headgate-bin/headgate", "probe"],
      copy: ["/headgate", "probe"],
      sidecar: undefined,
    };
    expect(app?.startupProbe?.exec.command).toEqual(probes[delivery]);
    const volumes = [{ name: "headgate-bin", emptyDir: {} }];
    expect(pods.volumes).toEqual(delivery === "install" ? volumes : undefined);
  });

  test("runs one image on both sides, that must carry one bundle", () => {
    const ours = allContainers(given).filter(({ name }) => name !== "app");
    expect(new Set(ours.map(({ image }) => image)).size).toBeLessThanOrEqual(1);
    const asking = allContainers(given).filter(({ env }) =>
      env?.some(({ name }) => name === "HEADGATE_DATABASE_URL"),
    );
    for (const { env } of asking)
      expect(lastValue(env, "HEADGATE_EXPECT_BUNDLE")).toBe("0123456789ab");
    for (const { metadata, spec } of objectsOf(given)) {
      expect(metadata.annotations["headgate/bundle"]).toBe(given.fingerprint);
      expect(spec.template.metadata.annotations["headgate/bundle"]).toBe(given.fingerprint);
    }
  });

  test("sends migrations past the pooler and nothing else", () => {
    for (const { name, args, env = [] } of allContainers(given)) {
      const isOwner = args?.[0] === "up" || (name === "app" && owner === "app");
      const direct = env.find((each) => each.name === "HEADGATE_MIGRATION_DATABASE_URL");
      expect([name, direct?.valueFrom?.secretKeyRef.key]).toEqual([
        name,
        isOwner ? "direct-url" : undefined,
      ]);
    }
  });

  test("fits the restricted standard and names no user", () => {
    for (const { spec } of objectsOf(given)) {
      expect(spec.template.spec.securityContext).toEqual({
        runAsNonRoot: true,
        seccompProfile: { type: "RuntimeDefault" },
      });
    }
    for (const { name, securityContext } of allContainers(given)) {
      expect(securityContext).toEqual({
        allowPrivilegeEscalation: false,
        capabilities: { drop: ["ALL"] },
        ...(name === "app" ? {} : { readOnlyRootFilesystem: true as const }),
      });
    }
    expect(JSON.stringify(objectsOf(given))).not.toMatch(/runAs(User|Group)|fsGroup/);
  });

  test("has a selector that finds the pods and not the Job", () => {
    const selectors = objectsOf(given)
      .filter(isDeployment)
      .map(({ spec }) => spec);
    for (const { selector, template } of selectors) {
      expect(template.metadata.labels).toEqual(selector.matchLabels);
      expect(jobOf(given).spec.template.metadata.labels).not.toEqual(selector.matchLabels);
    }
  });
});

/** What stands before the application, in order. */
const GATES: readonly [owner: Owner, delivery: Delivery, names: readonly string[]][] = [
  ["job", "install", ["install-headgate", "wait-for-schema"]],
  ["job", "copy", ["wait-for-schema"]],
  ["job", "sidecar", ["headgate"]],
  ["init", "install", ["install-headgate", "migrate"]],
  ["init", "copy", ["migrate"]],
  ["init", "sidecar", ["migrate", "headgate"]],
  ["app", "install", ["install-headgate"]],
  ["app", "copy", []],
];
test.each(GATES)("owner %s, delivery %s: %p stand before the application", (...given) => {
  const [owner, delivery, names] = given;
  const { initContainers = [] } = podsOf(wiring({ owner, delivery }));
  expect(initContainers.map(({ name }) => name)).toEqual([...names]);
});

describe("a Job's name", () => {
  const other = wiring({ fingerprint: "fedcba9876543210".repeat(4) });

  test("ends in the bundle's fingerprint, so that another bundle is another Job", () => {
    expect(jobOf(wiring()).metadata.name).toMatch(/^app-migrate-[0-9a-f]{6}-0123456789$/);
    expect(jobOf(other).metadata.name).toMatch(/^app-migrate-[0-9a-f]{6}-fedcba9876$/);
  });

  test("changes with whatever else of it changes, and with nothing of the pods'", () => {
    const { name } = jobOf(wiring()).metadata;
    expect(jobOf(wiring({ image: "headgate:2" })).metadata.name).not.toBe(name);
    expect(jobOf(wiring({ jobDeadlineS: 599 })).metadata.name).not.toBe(name);
    expect(jobOf(wiring({ replicas: 9, appImage: "app:2" })).metadata.name).toBe(name);
  });

  test("is short enough for a label, for the longest name", () => {
    const { name } = jobOf(wiring({ name: "a".repeat(36) })).metadata;
    expect(name.length).toBeLessThanOrEqual(63);
  });

  const kinds: readonly [kind: JobKind, hook: string | undefined, ttl: number | undefined][] = [
    ["plain", undefined, 86_400],
    ["helm", "pre-install,pre-upgrade", undefined],
    ["argo", "Sync", undefined],
  ];
  test.each(kinds)("%s: hook %p, removed after %p s", (jobKind, hook, ttl) => {
    const { metadata, spec } = jobOf(wiring({ jobKind }));
    const key = { plain: "", helm: "helm.sh/hook", argo: "argocd.argoproj.io/hook" }[jobKind];
    expect(metadata.annotations[key]).toBe(hook);
    expect(spec.ttlSecondsAfterFinished).toBe(ttl);
  });
});

describe("wiringProblems()", () => {
  test("has none by default", () => {
    expect(wiringProblems(wiring())).toEqual([]);
  });

  const table: readonly [rule: string, changes: Partial<Wiring>, fits: Partial<Wiring>][] = [
    ["must be below --probe-timeout", { probeBudgetMs: 2000 }, { probeBudgetMs: 1999 }],
    ["not be above --probe-period", { probeTimeoutS: 6 }, { probeTimeoutS: 5 }],
    ["must be above --job-deadline", { probeFailures: 120 }, { probeFailures: 121 }],
    ["must be below --job-deadline", { lockWaitS: 585 }, { lockWaitS: 584 }],
    ["never start", { owner: "app", delivery: "sidecar" }, { owner: "init", delivery: "sidecar" }],
    ["no effect without", { owner: "init", jobKind: "helm" }, { jobKind: "helm" }],
  ];
  test.each(table)("%s, and no more than that", (rule, changes, fits) => {
    expect(wiringProblems(wiring(changes))).toEqual([expect.stringContaining(rule)]);
    expect(wiringProblems(wiring(fits))).toEqual([]);
  });
});
