/** What the compiled file is and needs. */
import { expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { BINARY, headgate } from "../support/headgate.ts";
import { createScratchFolder } from "../support/scratch.ts";

const ROOT: string = join(import.meta.dirname, "../..");
/** What "static" means here: these, and nothing else, from any glibc of 2.17 or later. */
const LIBRARIES: readonly string[] = ["libc.so.6", "libdl.so.2", "libm.so.6", "libpthread.so.0"];
const OLDEST_GLIBC = 2.17;

const folder = createScratchFolder("binary");

test("it links to the C library and nothing else", () => {
  const linked = execFileSync("ldd", [BINARY]).toString().split("\n");
  const names = linked.flatMap((line) => /^\s+(lib\S+) =>/.exec(line)?.[1] ?? []);
  expect(names.sort()).toEqual([...LIBRARIES]);
});

test("it wants no symbol of a glibc later than 2.17", () => {
  const versions = [
    ...readFileSync(BINARY)
      .toString("latin1")
      .matchAll(/\0GLIBC_(2\.\d+)/g),
  ];
  const minors = versions.map(([, version]) => Number(version?.split(".")[1]));
  expect(minors.length).toBeGreaterThan(0);
  expect(Math.max(...minors)).toBeLessThanOrEqual(Number(String(OLDEST_GLIBC).split(".")[1]));
});

test("its help is the README's usage block", async () => {
  const readme = readFileSync(join(ROOT, "README.md"), "utf8");
  const block = /<!-- usage:begin -->\n```text\n([\s\S]*?)```\n<!-- usage:end -->/.exec(
    readme,
  )?.[1];
  expect((await headgate(["--help"])).stdout).toBe(block ?? "no usage block in README.md");
});

test("two builds in two folders have the same bytes", () => {
  const sums = ["one", "two"].map((name) => {
    const checkout = join(folder, name);
    for (const part of [".ci", "src", "migrations", "package.json", "tsconfig.json"]) {
      cpSync(join(ROOT, part), join(checkout, part), { recursive: true });
    }
    symlinkSync(join(ROOT, "node_modules"), join(checkout, "node_modules"));
    const outfile = join(checkout, `headgate-${name}`);
    const env = { ...process.env, HEADGATE_COMMIT: "0123456789ab" };
    execFileSync(process.execPath, [".ci/build.ts", "--outfile", outfile], { cwd: checkout, env });
    return createHash("sha256").update(readFileSync(outfile)).digest("hex");
  });
  expect(sums[0]).toBe(sums[1] ?? "");
}, 120_000);
