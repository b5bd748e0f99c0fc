/** Compiles `dist/headgate`; `--outfile FILE` puts the result elsewhere. */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { compile, ROOT } from "./compile.ts";

const { values } = parseArgs({ options: { outfile: { type: "string" } }, strict: true });
const outfile = resolve(values.outfile ?? `${ROOT}/dist/headgate`);
await compile({ outfile });
console.log(`built ${outfile}`);
