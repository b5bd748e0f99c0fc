/** `manifest`: what it prints is what Kubernetes, Helm, Kustomize and Compose take. Needs no server. */
import { afterAll, describe, expect, test } from "bun:test";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { migrationFolder } from "../support/folder.ts";
import { headgate, type Run } from "../support/headgate.ts";
import { kubernetesTool } from "../support/kubernetes-tools.ts";
import { openStub } from "../support/stub-server.ts";

const ROOT = join(import.meta.dirname, "../..");
const scratch = mkdtempSync(join(tmpdir(), "headgate-manifest-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: { readonly template: { readonly spec: Pod } };
}
interface Pod {
  readonly initContainers?: readonly PodContainer[] | null;
  readonly containers: readonly PodContainer[];
}
interface PodContainer {
  readonly name: string;
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
}

/** With the probe's own budget, which other tests stretch. */
function start(...args: readonly string[]): Promise<Run> {
  return headgate(["manifest", ...args], { env: { HEADGATE_TIMEOUT: "900ms" } });
}

async function manifest(...args: readonly string[]): Promise<string> {
  const run = await start(...args);
  expect([run.status, run.stderr]).toEqual([0, ""]);
  return run.stdout;
}

function parse(text: string): readonly KubernetesObject[] {
  const documents = [Bun.YAML.parse(text)].flat();
  return documents.filter((each): each is KubernetesObject => each !== null);
}

/** By kind, as the tools sort differently; names apart, which a chart gives itself. */
function sorted(objects: readonly KubernetesObject[]): readonly KubernetesObject[] {
  return [...objects].sort((a, b) => (a.kind < b.kind ? -1 : 1));
}

const WAYS = ["install", "copy", "sidecar"] as const;
const COMBINATIONS = ["job", "init", "app"]
  .flatMap((owner) => WAYS.map((way) => [owner, way] as const))
  .filter(([owner, way]) => owner !== "app" || way !== "sidecar");
const flagsOf = (owner: string, way: string): readonly string[] => [
  "--owner",
  owner,
  "--deliver",
  way,
  "--name",
  "rel",
];

/** Objects by what they were printed as, for one run of the type checker. */
const seen: KubernetesObject[] = [];

describe.each(COMBINATIONS)("owner %s, delivered by %s", (owner, way) => {
  let plain: readonly KubernetesObject[] = [];

  test("kubernetes: objects, with notes in front", async () => {
    const text = await manifest("kubernetes", ...flagsOf(owner, way));
    plain = parse(text);
    expect(plain.map(({ kind }) => kind)).toEqual(
      owner === "job" ? ["Job", "Deployment"] : ["Deployment"],
    );
    expect(text).toStartWith("# ");
    expect(text).toContain(`# --owner ${owner}: `);
    expect(text).toContain(`# * ${way}:`);
    seen.push(...plain);
  });

  test("helm: lints, and its objects are the same", async () => {
    const folder = join(scratch, `chart-${owner}-${way}`);
    await manifest("helm", "--out", folder, ...flagsOf("job", way));
    if (owner === "job") helm("lint", folder);
    const made = parse(helm("template", "rel", folder, "--set", `migration.owner=${owner}`));
    const named = (objects: readonly KubernetesObject[]) =>
      sorted(objects).map((object) =>
        object.kind === "Job" ? { ...object, metadata: {} } : withoutNulls(object),
      );
    expect(named(made)).toEqual(named(plain));
    for (const { kind, metadata } of made) {
      if (kind === "Job") expect(metadata.name).toMatch(/^rel-migrate-[0-9a-f]{6}-[0-9a-f]{10}$/);
    }
    seen.push(...made);
  });

  test("kustomize: builds to the same objects", async () => {
    const folder = join(scratch, `kustomize-${owner}-${way}`);
    await manifest("kustomize", "--out", folder, ...flagsOf(owner, way));
    const built = parse(run(kubernetesTool("kubectl"), ["kustomize", folder]));
    const named = (objects: readonly KubernetesObject[]) =>
      sorted(objects).map((object) =>
        object.kind === "Job" ? { ...object, metadata: {} } : object,
      );
    expect(named(built)).toEqual(named(plain));
  });
});

test("every object is one of Kubernetes' own published types, down to the last field", () => {
  const folder = join(scratch, "types");
  expect(seen.length).toBeGreaterThan(15);
  expect(typeCheck(folder, seen)).toBe("");
  const [first] = seen;
  const broken = { ...first, spec: { ...first?.spec, backofLimit: 3 } } as KubernetesObject &
    object;
  expect(typeCheck(folder, [broken])).toContain("backofLimit");
}, 60_000);

describe("the chart's switch", () => {
  const settings: readonly [set: readonly string[], skip: string][] = [
    [[], "true"],
    [["--set", "migration.owner=job"], "true"],
    [["--set", "migration.owner=init"], "true"],
    [["--set", "migration.owner=app"], "false"],
  ];
  test.each(settings)("%p makes pods skip: %s, whatever the user's env says", async (set, skip) => {
    const folder = join(scratch, "switch");
    await manifest("helm", "--out", folder);
    const names = ["HEADGATE_SKIP_MIGRATIONS", "MCPGATEWAY_SKIP_MIGRATIONS", "MINE"];
    const env = names.map((name) => ({ name, value: "undone" }));
    const made = parse(
      helm("template", "rel", folder, ...set, "--set-json", `app.env=${JSON.stringify(env)}`),
    );
    const pods = made.find(({ kind }) => kind === "Deployment")?.spec.template.spec;
    const given = pods?.containers[0]?.env ?? [];
    for (const name of names.slice(0, 2)) {
      expect(given.filter((each) => each.name === name)).toEqual([{ name, value: skip }]);
    }
    expect(given[0]).toEqual({ name: "MINE", value: "undone" });
    expect(made.some(({ kind }) => kind === "Job")).toBe(
      skip === "true" && set[1] !== "migration.owner=init",
    );
  });

  test.each([
    ["migration.owner=true", "must be job, init or app"],
    ["probe.failureThreshold=120", "must be above migration.deadlineSeconds"],
    ["probe.budgetMilliseconds=2000", "must be below probe.timeoutSeconds"],
    ["probe.timeoutSeconds=6", "must not be above probe.periodSeconds"],
    ["migration.lockWaitSeconds=585", "must be below migration.deadlineSeconds"],
  ])("refuses %s", async (set, problem) => {
    const folder = join(scratch, "refusals");
    await manifest("helm", "--out", folder);
    const { status, stderr } = spawnSync(
      kubernetesTool("helm"),
      ["template", "rel", folder, "--set", set],
      { encoding: "utf8" },
    );
    expect(status).not.toBe(0);
    expect(stderr).toContain(problem);
  });
});

describe("a Job", () => {
  const jobName = async (...args: readonly string[]): Promise<string> =>
    parse(await manifest("kubernetes", ...args)).find(({ kind }) => kind === "Job")?.metadata
      .name ?? "";

  test("of another bundle has another name, that ends in its fingerprint", async () => {
    const dir = migrationFolder({ "1_a.sql": "select 1" });
    const names = [await jobName(), await jobName("--dir", dir)];
    const versions = [
      await headgate(["version", "--json"]),
      await headgate(["version", "--json", "--dir", dir]),
    ];
    expect(new Set(names).size).toBe(2);
    for (const [i, name] of names.entries()) {
      const { bundle } = JSON.parse(versions[i]?.stdout ?? "") as {
        bundle: { fingerprint: string };
      };
      expect(name).toEndWith(`-${bundle.fingerprint.slice(0, 10)}`);
    }
  });

  test("as a Helm hook runs before the pods, and the chart says why not behind them", async () => {
    const folder = join(scratch, "hook");
    await manifest("helm", "--out", folder, "--job", "helm");
    expect(helm("template", "rel", folder)).toContain(`helm.sh/hook: "pre-install,pre-upgrade"`);
    expect(await Bun.file(join(folder, "README.md")).text()).toContain("--wait");
  });
});

describe("compose", () => {
  interface Compose {
    readonly services: Readonly<Record<string, Service>>;
    readonly volumes?: object;
  }
  interface Service {
    readonly image: string;
    readonly ports?: readonly string[];
    readonly environment: Readonly<Record<string, string>>;
    readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
    readonly healthcheck?: { readonly test: readonly string[] };
    readonly deploy?: { readonly replicas: number };
  }
  const compose = async (...args: readonly string[]): Promise<readonly [string, Compose]> => {
    const text = await manifest("compose", ...args);
    return [text, Bun.YAML.parse(text) as Compose];
  };

  test("is the whole story, marked as a fixture, on this machine alone", async () => {
    const [text, { services }] = await compose();
    expect(text).toStartWith("# TEST FIXTURE ONLY");
    expect(Object.keys(services)).toEqual(["postgres", "pgbouncer", "migrate", "app"]);
    const ports = Object.values(services).flatMap((service) => service.ports ?? []);
    expect(ports).toHaveLength(2);
    for (const port of ports) expect(port).toStartWith("127.0.0.1:");
    expect(services["pgbouncer"]?.environment["POOL_MODE"]).toBe("transaction");
    expect(services["migrate"]?.environment["HEADGATE_MIGRATION_DATABASE_URL"]).toContain(
      "@postgres:",
    );
    expect(services["app"]).toMatchObject({
      image: services["migrate"]?.image,
      deploy: { replicas: 3 },
      healthcheck: { test: ["CMD", "/headgate", "probe"] },
      depends_on: { migrate: { condition: "service_completed_successfully" } },
      environment: { HEADGATE_SKIP_MIGRATIONS: "true", MCPGATEWAY_SKIP_MIGRATIONS: "true" },
    });
  });

  test("with an application's image gets the binary there", async () => {
    const [, installed] = await compose("--app-image", "a:1");
    expect(installed.volumes).toEqual({ "headgate-bin": {} });
    expect(installed.services["app"]).toMatchObject({
      image: "a:1",
      healthcheck: { test: ["CMD", "/headgate-bin/headgate", "probe"] },
      depends_on: { install: { condition: "service_completed_successfully" } },
    });
    const [, copied] = await compose("--app-image", "a:1", "--deliver", "copy", "--owner", "app");
    expect(Object.keys(copied.services)).toEqual(["postgres", "pgbouncer", "app"]);
    expect(copied.services["app"]?.environment["MCPGATEWAY_SKIP_MIGRATIONS"]).toBe("false");
  });
});

describe("exits 2", () => {
  const refused: readonly [args: readonly string[], word: string][] = [
    [[], "none is given"],
    [["kubernets"], "not"],
    [["helm"], "--out"],
    [["kustomize"], "--out"],
    [["kubernetes", "--owner", "nobody"], "--owner must be job, init or app"],
    [["kubernetes", "--name", "Bad_Name"], "--name"],
    [["kubernetes", "--timeout", "2s"], "--probe-timeout"],
    [["kubernetes", "--probe-failures", "120"], "--job-deadline"],
    [["kubernetes", "--lock-wait", "10m"], "--lock-wait"],
    [["kubernetes", "--job-deadline", "1500ms"], "whole seconds"],
    [["kubernetes", "--owner", "app", "--deliver", "sidecar"], "never start"],
    [["compose", "--owner", "init"], "no init containers"],
    [["compose", "--deliver", "sidecar"], "no sidecars"],
    [["compose", "--owner", "app"], "--app-image"],
    [["helm", "--out", "/proc/nowhere"], "Cannot write"],
  ];
  test.each(refused)("for %p", async (args, word) => {
    const run = await start(...args);
    expect([run.status, run.stdout]).toEqual([2, ""]);
    expect(String(run.events.at(-1)?.["reason"])).toContain(word);
  });
});

test("never asks a database, and prints files as one object on demand", async () => {
  const stub = await openStub();
  const env = {
    DATABASE_URL: stub.url,
    MIGRATION_DATABASE_URL: stub.url,
    HEADGATE_TIMEOUT: "900ms",
  };
  const run = await headgate(["manifest", "helm", "--json"], { env });
  await stub.close();
  expect(stub.connections()).toBe(0);
  const { v, command, files } = JSON.parse(run.stdout) as Record<string, unknown>;
  expect([v, command]).toEqual([1, "manifest"]);
  expect(Object.keys(files as object)).toContain("templates/deployment.yaml");
});

function helm(...args: readonly string[]): string {
  return run(kubernetesTool("helm"), args);
}

function run(program: string, args: readonly string[]): string {
  return execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

/** A chart without init containers says so by null. */
function withoutNulls(object: KubernetesObject): unknown {
  return JSON.parse(JSON.stringify(object, (_key, value: unknown) => value ?? undefined));
}

/** Fields that the types do not have are errors only in a literal: so each object becomes one. */
function typeCheck(folder: string, objects: readonly KubernetesObject[]): string {
  rmSync(folder, { recursive: true, force: true });
  execFileSync("mkdir", ["-p", folder]);
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  const lines = objects.map((object, i) => {
    const module = JSON.stringify(`kubernetes-types/${object.apiVersion}`);
    const literal = JSON.stringify(withoutNulls(object));
    return `export const o${i}: import(${module}).${object.kind} = ${literal};`;
  });
  writeFileSync(join(folder, "objects.ts"), lines.join("\n"));
  const options = { module: "Preserve", moduleResolution: "bundler", strict: true, noEmit: true };
  const config = { compilerOptions: { ...options, types: [] }, include: ["objects.ts"] };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
  const tsc = join(ROOT, "node_modules/.bin/tsc");
  const { stdout, stderr } = spawnSync(tsc, ["-p", folder], { encoding: "utf8" });
  return stdout + stderr;
}
