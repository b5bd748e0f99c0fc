/**
 * The kill matrix: every fault at every moment on every route, each followed by a plain `up`.
 *
 *   bun run matrix                          every case; writes test/matrix/summary.json
 *   bun run matrix --seed 7 --sample 40     forty of them, in another order
 *   bun run matrix --only "SIGKILL / before row"
 *
 * The seed is printed: with it, order, pauses and choices are the same again. Every case's evidence
 * goes to test/matrix/output/. Exits 1 when a case is red.
 */
import { appendFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { buildFaulty } from "../support/fault-build.ts";
import { openSubstrate } from "../support/substrate.ts";
import { allCases, nameOf, sampleOf } from "./cases.ts";
import { renderSummary, summarise } from "./report.ts";
import { describeVerdict, runMatrix, type Verdict } from "./run-matrix.ts";

const OUTPUT = join(import.meta.dirname, "output");

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seed: { type: "string" },
      only: { type: "string" },
      sample: { type: "string" },
      jobs: { type: "string", default: "6" },
      lanes: { type: "string", default: "2" },
    },
  });
  const seed = Number(values.seed ?? Math.floor(Math.random() * 1_000_000));
  const all = allCases(seed).filter((each) => nameOf(each).includes(values.only ?? ""));
  const cases = values.sample === undefined ? all : sampleOf(all, Number(values.sample));
  say(`seed ${seed}: ${cases.length} cases`);
  const { binary, remove } = await buildFaulty();
  const substrate = await openSubstrate();
  rmSync(OUTPUT, { recursive: true, force: true });
  mkdirSync(OUTPUT, { recursive: true });
  const verdicts: Verdict[] = [];
  try {
    const { versions } = await runMatrix(substrate, cases, {
      cast: { victim: binary },
      jobs: Number(values.jobs),
      lanes: Number(values.lanes),
      onVerdict: (verdict) => {
        verdicts.push(verdict);
        say(`${String(verdicts.length).padStart(4)} ${describeVerdict(verdict)}`);
        appendFileSync(join(OUTPUT, "verdicts.ndjson"), `${JSON.stringify(verdict)}\n`);
      },
    });
    const [postgres, pgbouncer] = versions;
    const summary = summarise(verdicts, { seed, postgres, pgbouncer });
    writeFileSync(join(OUTPUT, "summary.md"), `${renderSummary(summary)}\n`);
    if (values.only === undefined && values.sample === undefined) {
      const text = `${JSON.stringify(summary, undefined, 2)}\n`;
      writeFileSync(join(import.meta.dirname, "summary.json"), text);
    }
    say(renderSummary(summary));
    return summary.red === 0 ? 0 : 1;
  } finally {
    remove();
    await substrate.close();
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

process.exit(await main());
