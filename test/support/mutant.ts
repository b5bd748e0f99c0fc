/**
 * A headgate with one mechanism broken on purpose. A test that stays green against its mutant shows
 * nothing; so every safety claim is also run against one, and must go red.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BunPlugin } from "bun";
import { compile } from "../../.ci/compile.ts";

const SRC: string = join(import.meta.dirname, "../../src");

export interface Mutation {
  /** Below src/, such as `db/gate.ts`. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** A line that the file begins with then. */
  readonly imports?: string;
}

/** Compiles the mutant. Fails when a text to replace is not there, so that no mutant turns harmless. */
export async function buildMutant(...mutations: readonly Mutation[]): Promise<{
  readonly binary: string;
  readonly remove: () => void;
}> {
  const folder = mkdtempSync(join(tmpdir(), "headgate-mutant-"));
  const binary = join(folder, "headgate");
  await compile({ outfile: binary, plugins: [mutating(mutations)], isHardened: false });
  return { binary, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

function mutating(mutations: readonly Mutation[]): BunPlugin {
  const texts = new Map<string, string>();
  for (const { file, find, replace, imports = "" } of mutations) {
    const path = join(SRC, file);
    const text = texts.get(path) ?? readFileSync(path, "utf8");
    if (!text.includes(find)) throw new Error(`${file} has no ${JSON.stringify(find)} to break`);
    const broken = text.replaceAll(find, replace);
    texts.set(path, text.startsWith(imports) ? broken : imports + broken);
  }
  return {
    name: "mutate",
    setup(build) {
      build.onLoad({ filter: /\.(ts|json)$/ }, ({ path }) => {
        const contents = texts.get(path);
        const loader = path.endsWith(".json") ? "json" : "ts";
        return contents === undefined ? undefined : { contents, loader };
      });
    },
  };
}
