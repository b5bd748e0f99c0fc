/**
 * The container image: stages the binary and the C library's files that it links to, as this machine has them, in
 * `dist/image`, and lets an engine make an image of nothing else.
 *
 *   bun run image                      headgate:<version>, with docker, else podman
 *   bun run image --tag x/y:1          another name
 *   bun run image --binary FILE        another executable, such as what `headgate bundle` wrote
 *   bun run image --bare               without the C library: a layer for images that have their own (COPY --from)
 *   bun run image --stage-only         the folder alone
 */
import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  rmSync,
  statSync,
  utimesSync,
} from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { VERSION } from "../src/embed/version.ts";
import { commit, compile, ROOT } from "./compile.ts";

/** What the image's root will hold. */
export const STAGE: string = join(ROOT, "dist/image");

/**
 * Fills a folder as the image's root: the binary, and each library at the path where the loader looks for it.
 *
 * @returns the files, with their sizes
 * @throws {Error} when a library is missing here, or this machine's C library is another kind than the binary's
 */
export function stage(
  binary: string,
  folder: string,
  libraries: readonly string[] = librariesOf(binary),
): readonly (readonly [string, number])[] {
  rmSync(folder, { recursive: true, force: true });
  const files = new Map([[binary, "/headgate"], ...libraries.map((path) => [path, path] as const)]);
  return [...files].map(([from, to]) => {
    const target = join(folder, to);
    mkdirSync(dirname(target), { recursive: true, mode: 0o755 });
    copyFileSync(from, target);
    chmodSync(target, 0o755);
    utimesSync(target, 0, 0); // the layer's bytes must not tell when it was made
    return [`/${relative(folder, target)}`, statSync(target).size] as const;
  });
}

/** With the loader, as `ldd` names them. */
function librariesOf(binary: string): readonly string[] {
  const listing = execFileSync("ldd", [binary], { encoding: "utf8" });
  if (listing.includes("not found")) throw new Error(`A library is missing:\n${listing}`);
  const paths = Array.from(listing.matchAll(/(\/\S+) \(0x/g), ([, path]) => path ?? "");
  return [...new Set(paths)].sort();
}

function engine(): string {
  const found = ["docker", "podman"].find((name) => Bun.which(name) !== null);
  if (found === undefined)
    throw new Error("Cannot build the image: there is no docker and no podman");
  return found;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      tag: { type: "string", default: `headgate:${VERSION}` },
      binary: { type: "string" },
      bare: { type: "boolean", default: false },
      "stage-only": { type: "boolean", default: false },
    },
    strict: true,
  });
  const binary = resolve(values.binary ?? join(ROOT, "dist/headgate"));
  if (values.binary === undefined) await compile({ outfile: binary });
  else if (!existsSync(binary)) throw new Error(`${binary} does not exist`);
  for (const [file, size] of stage(binary, STAGE, values.bare ? [] : librariesOf(binary))) {
    console.log(`${(size / 1e6).toFixed(1).padStart(7)} MB  ${file}`);
  }
  if (values["stage-only"]) return 0;
  const labels = [`VERSION=${VERSION}`, `REVISION=${commit()}`].flatMap((each) => [
    "--build-arg",
    each,
  ]);
  const args = [
    "build",
    "--file",
    join(ROOT, "Containerfile"),
    ...labels,
    "--tag",
    values.tag,
    STAGE,
  ];
  const { status } = spawnSync(engine(), args, { stdio: "inherit" });
  if (status === 0) console.log(`built ${values.tag}`);
  return status ?? 1;
}

if (import.meta.main) process.exitCode = await main();
