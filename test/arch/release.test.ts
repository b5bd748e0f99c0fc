/** What a release is made of: pinned runtimes, and a document that names all that is compiled in. */
import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { RUNTIMES } from "../../.ci/runtimes.ts";
import { createSbom } from "../../.ci/sbom.ts";
import { scrubEnvironment } from "../../.ci/scrub.ts";
import manifest from "../../package.json" with { type: "json" };
import { ROOT } from "./support/source.ts";

const LOCK = readFileSync(join(ROOT, "bun.lock"), "utf8");
const WORKFLOWS = join(ROOT, ".github/workflows");

test("a release has every platform", () => {
  expect(Object.keys(RUNTIMES).sort()).toEqual([
    "darwin-arm64",
    "linux-arm64",
    "linux-arm64-musl",
    "linux-x64",
    "linux-x64-baseline",
    "linux-x64-musl",
  ]);
});

/** The lock file knows all but the one that the installer never chooses. */
test.each(Object.entries(RUNTIMES).filter(([target]) => !target.endsWith("baseline")))(
  "the runtime of %s is the one that bun.lock names",
  (_target, { name, integrity }) => {
    const line = LOCK.split("\n").find((each) => each.includes(`"@oven/${name}@`)) ?? "";
    expect(line).toContain(`@${manifest.devDependencies.bun}"`);
    expect(line).toContain(`"${integrity}"`);
  },
);

test("the list of parts names each dependency and the runtime, with its digest", () => {
  const { components } = createSbom("0123456789ab");
  const wanted = { ...manifest.dependencies, bun: manifest.devDependencies.bun };
  expect(Object.fromEntries(components.map(({ name, version }) => [name, version]))).toEqual(
    wanted,
  );
  for (const { name, purl, version, hashes, licenses } of components) {
    expect(purl).toBe(`pkg:npm/${name}@${version}`);
    expect(hashes[0]?.content).toMatch(/^[0-9a-f]{128}$/);
    expect(licenses[0]?.license.id).toMatch(/^[\w.-]+$/);
  }
});

test.if(process.platform === "linux" && process.arch === "x64")(
  "a runtime without room for the scrubbing code is not taken",
  () => {
    const runtime = readFileSync(process.execPath);
    scrubEnvironment(runtime);
    const code = runtime.indexOf("488b0424488d74c410", 0, "hex");
    expect(code).toBeGreaterThan(0);
    runtime.fill(0xff, code - 200, code);
    expect(() => scrubEnvironment(runtime)).toThrow("there is no room before its code");
  },
);

test("every action of a workflow is pinned to a commit or a whole version", () => {
  const files = existsSync(WORKFLOWS) ? readdirSync(WORKFLOWS) : [];
  expect(files.length).toBeGreaterThan(0);
  for (const file of files) {
    const text = readFileSync(join(WORKFLOWS, file), "utf8");
    const used = Array.from(text.matchAll(/uses: (\S+)/g), ([, action]) => action ?? "");
    expect(used.filter((action) => !/@(?:[0-9a-f]{40}|v\d+\.\d+\.\d+)$/.test(action))).toEqual([]);
  }
});
