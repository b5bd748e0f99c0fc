/**
 * The build for Linux on arm64, in an emulator: it starts, and its environment has no say. Where `.ci/run` has
 * installed the emulator, that is with TEST_SUBSTRATE=containers; its runtime comes from the npm registry.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { compile } from "../../.ci/compile.ts";
import { fetchRuntime } from "../../.ci/runtimes.ts";
import { createScratchFolder } from "../support/scratch.ts";

const TARGET = "linux-arm64";
const EMULATOR = ["qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu"] as const;
const hasEngine = process.env["TEST_SUBSTRATE"] === "containers";

describe.if(hasEngine)("the build for arm64", () => {
  const folder = createScratchFolder("arm64");
  const hard = join(folder, "hard");
  const soft = join(folder, "soft");

  beforeAll(async () => {
    const runtime = fetchRuntime(TARGET);
    await compile({ outfile: hard, target: TARGET, runtime });
    await compile({ outfile: soft, target: TARGET, runtime, isHardened: false });
  }, 240_000);

  /** Each run takes seconds, so both doors are tried at once. */
  function run(binary: string): string {
    const [program, ...flags] = EMULATOR;
    const child = spawnSync(program, [...flags, binary, "version"], {
      encoding: "utf8",
      timeout: 100_000,
      env: {
        PATH: process.env["PATH"],
        BUN_JSC_dumpOptions: "1",
        BUN_OPTIONS: "--preload=/nowhere.js",
      },
    });
    return `${child.stdout}${child.stderr}`;
  }

  test("starts, and its environment has no say", () => {
    const text = run(hard);
    expect(text).toStartWith("headgate ");
    expect(text).toContain(TARGET);
    expect(text).not.toMatch(/JSC options|nowhere/);
  }, 120_000);

  test("which the runtime as it comes would let it have", () => {
    expect(run(soft)).toMatch(/JSC options[\s\S]*nowhere/);
  }, 120_000);
});
