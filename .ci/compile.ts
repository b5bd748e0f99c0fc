/**
 * One executable out of the sources and a runtime: minified, with bytecode, hardened, and sealed by the line at its end
 * that says what it carries. The same sources and runtime give the same bytes, whatever the folder.
 */
import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, normalize, relative, resolve } from "node:path";
import process from "node:process";
import type { BunPlugin } from "bun";
import { EMPTY_SEAL } from "../src/core/cargo.ts";
import { harden } from "./harden.ts";

export const ROOT: string = resolve(import.meta.dirname, "..");
const ENTRY: string = join(ROOT, "src/main.ts");
/** Where the modules of the other half are. */
const REST = "rest";

export interface Compilation {
  readonly outfile: string;
  /** The runtime's file; without it, the one that runs this. */
  readonly runtime?: string;
  /** What `headgate version` calls the platform. */
  readonly target?: string;
  readonly plugins?: readonly BunPlugin[];
  /** False: with the runtime as it is, for a test that must see what hardening takes away. */
  readonly isHardened?: boolean;
}

/** @throws {AggregateError} what the compiler said */
export async function compile(compilation: Compilation): Promise<void> {
  const { outfile, runtime = process.execPath, target = hostTarget() } = compilation;
  const folder = mkdtempSync(join(tmpdir(), "headgate-build-"));
  try {
    const base = compilation.isHardened === false ? runtime : hardenedCopy(runtime, folder);
    const compiled = join(folder, "headgate"); // the name is inside: it must not vary
    const sources: Sources = {
      define: {
        HEADGATE_COMMIT: JSON.stringify(commit()),
        HEADGATE_TARGET: JSON.stringify(target),
      },
      plugins: [...(compilation.plugins ?? [])],
    };
    const result = await Bun.build({
      ...OPTIONS,
      ...sources,
      entrypoints: [ENTRY],
      plugins: [...sources.plugins, await restApart(sources)],
      minify: true,
      bytecode: true,
      compile: {
        outfile: compiled,
        executablePath: base,
        target: `bun-${target}` as Bun.Build.CompileTarget,
        autoloadDotenv: false,
        autoloadBunfig: false,
        autoloadTsconfig: false,
        autoloadPackageJson: false,
        jitPolicy: 100,
      },
    });
    if (!result.success) throw new AggregateError(result.logs, "headgate does not compile");
    appendFileSync(compiled, EMPTY_SEAL);
    put(compiled, resolve(outfile));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What both halves of the program are bundled with. */
type Sources = Required<Pick<Bun.BuildConfig, "define" | "plugins">>;

const OPTIONS = { root: ROOT, splitting: true, format: "esm", target: "bun" } as const;

/**
 * A probe shall load one file. What the entry and a lazy file share would become a chunk, for every such set of files
 * another one, and each costs a probe. So what the entry's files import by name is bundled first, with its own copies
 * of what it shares, and no lazy file has anything in common with the entry.
 *
 * That gives the program each class twice. So nothing may pass between the two but plain data: `src/main.ts` either
 * answers a probe or hands everything over.
 */
async function restApart(sources: Sources): Promise<BunPlugin> {
  const entrypoints = await lazyFiles(sources);
  const { success, outputs, logs } = await Bun.build({ ...OPTIONS, ...sources, entrypoints });
  if (!success) throw new AggregateError(logs, "headgate does not compile");
  const texts = new Map<string, string>();
  for (const output of outputs) texts.set(normalize(output.path), await output.text());
  return {
    name: "the rest apart",
    setup: (build) => {
      build.onResolve({ filter: /^\./ }, ({ path, importer, kind }) => {
        if (texts.has(importer)) return { path: join(dirname(importer), path), namespace: REST };
        if (kind !== "dynamic-import") return undefined;
        return { path: outputOf(resolve(dirname(importer), path)), namespace: REST };
      });
      build.onLoad({ filter: /./, namespace: REST }, ({ path }) => {
        const contents = texts.get(path);
        if (contents === undefined) throw new Error(`the rest has no ${path}`);
        return { contents, loader: "js" };
      });
    },
  };
}

function outputOf(file: string): string {
  return relative(ROOT, file).replace(/\.ts$/, ".js");
}

/** What the entry, and the files that it imports for good, import by name. */
async function lazyFiles({ define, plugins }: Sources): Promise<string[]> {
  const found = new Set<string>();
  const look: BunPlugin = {
    name: "look",
    setup: (build) => {
      build.onResolve({ filter: /^\./ }, ({ path, importer, kind }) => {
        if (kind !== "dynamic-import") return undefined;
        found.add(resolve(dirname(importer), path));
        return { path, external: true };
      });
    },
  };
  await Bun.build({ ...OPTIONS, define, plugins: [...plugins, look], entrypoints: [ENTRY] });
  return [...found].sort();
}

function hardenedCopy(runtime: string, folder: string): string {
  const bytes = readFileSync(runtime);
  harden(bytes);
  const copy = join(folder, "runtime");
  writeFileSync(copy, bytes, { mode: 0o755 });
  return copy;
}

/** Whoever runs the old file goes on running it. */
function put(file: string, outfile: string): void {
  mkdirSync(dirname(outfile), { recursive: true });
  const next = join(dirname(outfile), `.${basename(outfile)}.${process.pid}`);
  copyFileSync(file, next);
  chmodSync(next, 0o755);
  renameSync(next, outfile);
}

/** Of this machine. */
export function hostTarget(): string {
  const report = process.report.getReport() as { readonly header?: Record<string, unknown> };
  const isMusl = process.platform === "linux" && !report.header?.["glibcVersionRuntime"];
  return `${process.platform}-${process.arch}${isMusl ? "-musl" : ""}`;
}

/** HEADGATE_COMMIT for a build outside of a checkout. */
export function commit(): string {
  if (process.env["HEADGATE_COMMIT"]) return process.env["HEADGATE_COMMIT"];
  try {
    return execFileSync("git", ["rev-parse", "--short=12", "HEAD"], { cwd: ROOT, stdio: "pipe" })
      .toString()
      .trim();
  } catch {
    return "unknown";
  }
}
