/**
 * Compiles `dist/headgate`. `--migrations DIR` embeds another folder, `--outfile FILE` puts the
 * result elsewhere: `bun run build -- --migrations ./sql --outfile ./dist/billing-migrate`.
 */
import { execFileSync } from "node:child_process";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import type { BunPlugin } from "bun";
import { loadBundle, renderBundleModule, renderHeadModule } from "./generate.ts";

const ROOT: string = resolve(import.meta.dirname, "..");

const { values } = parseArgs({
  options: { migrations: { type: "string" }, outfile: { type: "string" } },
  strict: true,
});
const outfile = resolve(values.outfile ?? `${ROOT}/dist/headgate`);

const result = await Bun.build({
  entrypoints: [`${ROOT}/src/main.ts`],
  minify: true,
  bytecode: true,
  splitting: true,
  format: "esm",
  define: { HEADGATE_COMMIT: JSON.stringify(commit()) },
  plugins: values.migrations === undefined ? [] : [embed(resolve(values.migrations))],
  compile: { outfile, autoloadDotenv: false, autoloadBunfig: false, jitPolicy: 100 },
});
for (const log of result.logs) console.error(log);
if (!result.success) process.exit(1);
console.log(`built ${outfile}`);

function commit(): string {
  try {
    return execFileSync("git", ["rev-parse", "--short=12", "HEAD"], { cwd: ROOT })
      .toString()
      .trim();
  } catch {
    return "unknown";
  }
}

/** Puts another folder's list and head in the place of the generated ones. */
function embed(folder: string): BunPlugin {
  const bundle = loadBundle(folder);
  const modules = {
    bundle: renderBundleModule(bundle, `${folder}/`),
    head: renderHeadModule(bundle),
  };
  return {
    name: "embed-migrations",
    setup(build) {
      build.onLoad({ filter: /src\/embed\/(bundle|head)\.gen\.ts$/ }, ({ path }) => ({
        contents: path.endsWith("head.gen.ts") ? modules.head : modules.bundle,
        loader: "ts",
      }));
    },
  };
}
