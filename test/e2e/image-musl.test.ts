/**
 * The build for musl in an image like Alpine's: by COPY --from, and installed beside an application that has no C
 * library. Its runtime comes from the npm registry; runs in containers only, where `.ci/run` has installed musl.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { compile } from "../../.ci/compile.ts";
import { fetchRuntime } from "../../.ci/runtimes.ts";
import { emptyRoot, muslRoot } from "../support/app-images.ts";
import { type Image, openImageRunner, openVolume, removeImages } from "../support/image-runner.ts";
import { query } from "../support/query.ts";
import { createScratchFolder } from "../support/scratch.ts";
import { useServers } from "../support/use-servers.ts";

const servers = useServers();
const runner = openImageRunner();
const TARGET = "linux-x64-musl";

let alpine: Image;

const envOf = (url: string): Readonly<Record<string, string>> => ({
  DATABASE_URL: url,
  HEADGATE_TIMEOUT: "10s",
  HEADGATE_LOG_FORMAT: "json",
});

describe.if(runner.kind === "containers")("the image for musl", () => {
  beforeAll(async () => {
    const binary = join(createScratchFolder("musl"), "headgate");
    await compile({ outfile: binary, target: TARGET, runtime: fetchRuntime(TARGET) });
    const root = muslRoot(binary);
    copyFileSync(binary, join(root, "headgate"));
    alpine = runner.image("app-musl", root);
  }, 240_000);

  afterAll(removeImages);

  test("as a layer it migrates and probes on musl, as a foreign user", async () => {
    const { url } = await servers.postgres.createDatabase();
    const env = envOf(url);
    const run = (command: string) => alpine.run({ args: ["/headgate", command], env, uid: 12_345 });
    expect(run("version").stdout).toContain(TARGET);
    expect(run("probe").status).toBe(1);
    expect(run("up").status).toBe(0);
    expect(run("probe").status).toBe(0);
    const [row] = await query(url, "select count(*)::int as n from headgate_migrations");
    expect(row).toEqual({ n: 14 });
  }, 120_000);

  test("its environment has no say either", () => {
    const env = { BUN_JSC_dumpOptions: "1", BUN_BE_BUN: "1", BUN_OPTIONS: "--no-such-flag" };
    const run = alpine.run({ args: ["/headgate", "version"], env });
    expect(run.stderr).toBe("");
    expect(run.stdout).toStartWith("headgate ");
  }, 120_000);

  test("it installs itself for an image without a C library", async () => {
    const shared = openVolume("musl-shared");
    const installed = alpine.run({
      args: ["/headgate", "install", "/shared", "--json"],
      mounts: [{ from: shared, to: "/shared", isWritable: true }],
    });
    expect(installed.stderr).toBe("");
    const { anywhere } = JSON.parse(installed.stdout) as { anywhere: readonly string[] };
    const { url } = await servers.postgres.createDatabase();
    const app = runner.image("app-beside-musl", emptyRoot());
    const run = (command: string) =>
      app.run({
        args: [...anywhere, command],
        env: envOf(url),
        mounts: [{ from: shared, to: "/shared" }],
      });
    expect(run("probe").status).toBe(1);
    expect(run("up").status).toBe(0);
    expect(run("probe").status).toBe(0);
  }, 120_000);
});
