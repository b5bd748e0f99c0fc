/**
 * Everything that a release publishes, in `dist/release`: the binary for each platform, `SHA256SUMS`, and
 * `headgate.cdx.json`, the list of what is inside. Needs the npm registry for the other platforms' runtimes.
 *
 *   bun run release                    all platforms
 *   bun run release linux-x64-musl     some of them
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { commit, compile, hostTarget, ROOT } from "./compile.ts";
import { fetchRuntime, RUNTIMES } from "./runtimes.ts";
import { createSbom } from "./sbom.ts";

const FOLDER: string = join(ROOT, "dist/release");

rmSync(FOLDER, { recursive: true, force: true });
mkdirSync(FOLDER, { recursive: true });
const asked = process.argv.slice(2);
for (const target of asked.length > 0 ? asked : Object.keys(RUNTIMES)) {
  const outfile = join(FOLDER, `headgate-${target}`);
  await compile({ outfile, target, runtime: fetchRuntime(target) });
  console.log(`built ${outfile}${whatItSays(outfile, target)}`);
}
writeFileSync(
  join(FOLDER, "headgate.cdx.json"),
  `${JSON.stringify(createSbom(commit()), null, 2)}\n`,
);
const sums = readdirSync(FOLDER)
  .sort()
  .map((file) => `${sha256(join(FOLDER, file))}  ${file}\n`);
writeFileSync(join(FOLDER, "SHA256SUMS"), sums.join(""));
console.log(sums.join("").trimEnd());

/** Where it can run here, it must. */
function whatItSays(binary: string, target: string): string {
  if (target.replace("-baseline", "") !== hostTarget()) return "";
  return `: ${execFileSync(binary, ["version"], { encoding: "utf8" }).split("\n")[0]}`;
}

function sha256(file: string): string {
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}
