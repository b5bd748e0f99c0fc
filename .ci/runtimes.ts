/** The runtimes that a release is compiled into: npm packages, each with the digest that it must have. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import manifest from "../package.json" with { type: "json" };

export interface Runtime {
  /** Below `@oven/`, of the version that `package.json` names. */
  readonly name: string;
  /** Of the package, as the registry has it. */
  readonly integrity: string;
}

/** By what `headgate version` calls the platform. */
export const RUNTIMES: Readonly<Record<string, Runtime>> = {
  "linux-x64": {
    name: "bun-linux-x64",
    integrity:
      "sha512-IWX9BELoGHAUtMonkeSaNaZwXzRk+oDw6Mk+HBFXd3KHYIBNBsIGRupMZPcgNoDbJpLu6gAJjIoIVPZtt1aJ1g==",
  },
  "linux-x64-baseline": {
    name: "bun-linux-x64-baseline",
    integrity:
      "sha512-s8yMwYcFnnrA178gji0gZbkE2WVDej/Ti1x770oPfihxyRxSMNhGhiAQNXV53aDeraZxksdvKV/RAdQBCd0qPA==",
  },
  "linux-arm64": {
    name: "bun-linux-aarch64",
    integrity:
      "sha512-4BXmsSKnjOrlGWqZV4x/oWa7AVoR+B6lCXddMzOAXBIm3t50eslg9wb66gmtW1AamEQ1l1CDvmmruysEhqOWMg==",
  },
  "linux-x64-musl": {
    name: "bun-linux-x64-musl",
    integrity:
      "sha512-10QoW/YfTgnURaGEaHpJCiXjLI2e5iTtfVDaA5JKcyUzaa1cq6cVUY9/Uq5XkYzvtRjHLRe9Oj/lTDIQcxy8HQ==",
  },
  "linux-arm64-musl": {
    name: "bun-linux-aarch64-musl",
    integrity:
      "sha512-XCNc+WvvMAdNNb+OWTogpy+N9wm62fkVeEVLb6how0RZhW5LPi6c7BlkeVCuWps7XjEl2saFpHFa20/1E+PAHg==",
  },
  "darwin-arm64": {
    name: "bun-darwin-aarch64",
    integrity:
      "sha512-4MIFXHmctH2EhAxLXm2/qxNtv17dFtLJylvaOCsrgq6KSqHTs6eW5YSrJjRbJxYUJaR901fsN8JfZOa+CsWpWQ==",
  },
};

/** Between runs: a package is some 50 MB. */
const STORE: string = join(tmpdir(), `headgate-runtimes-${manifest.devDependencies.bun}`);

/**
 * The file of a runtime; fetched from the npm registry the first time.
 *
 * @throws {Error} when the registry's package is not the one that is named here
 */
export function fetchRuntime(target: string): string {
  const runtime = RUNTIMES[target];
  if (!runtime) throw new Error(`${target} is none of ${Object.keys(RUNTIMES).join(", ")}`);
  const kept = join(STORE, digestOf(runtime.integrity), "package/bin/bun");
  if (existsSync(kept)) return kept;
  mkdirSync(STORE, { recursive: true, mode: 0o700 });
  const folder = mkdtempSync(join(STORE, "fetch-"));
  try {
    const wanted = `@oven/${runtime.name}@${manifest.devDependencies.bun}`;
    const args = ["pack", wanted, "--silent", "--pack-destination", folder];
    const file = execFileSync("npm", args, { encoding: "utf8" }).trim().split("\n").at(-1) ?? "";
    const archive = join(folder, file);
    const found = `sha512-${createHash("sha512").update(readFileSync(archive)).digest("base64")}`;
    if (found !== runtime.integrity) throw new Error(`${wanted} is not what it was: ${found}`);
    execFileSync("tar", ["-xzf", archive, "-C", folder]);
    rmSync(archive);
    renameSync(folder, join(STORE, digestOf(runtime.integrity)));
    return kept;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function digestOf(integrity: string): string {
  return createHash("sha256").update(integrity).digest("hex").slice(0, 16);
}
