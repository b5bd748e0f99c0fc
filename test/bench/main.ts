/**
 * `bun run bench`: what headgate costs, as ratios of one run: beside psql, beside dbmate, a bare Python check and a
 * program in C where they are installed, and beside an empty program of the same runtime. Says which targets are
 * met; a missed one is no failure, a contender that fails is.
 *
 *   --quick     few rounds and small numbers, to show that each figure can be measured
 *   --readme    writes the figures into README.md too
 *
 * The figures go to dist/bench.json, every sample to dist/bench-samples.json.
 */
import { writeFileSync } from "node:fs";
import { arch, cpus, release } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { openSubstrate, type Pgbouncer, type PostgresServer } from "../support/substrate.ts";
import { atHead } from "./at-head.ts";
import type { Samples } from "./measure.ts";
import { migrate } from "./migrate.ts";
import { type BenchSummary, type Figure, renderLine, renderTally } from "./report.ts";
import type { Stage } from "./stage.ts";
import { together } from "./together.ts";
import { findTools, type Tools } from "./tools.ts";

const DIST: string = join(import.meta.dirname, "../../dist");
const SUMMARY: string = join(import.meta.dirname, "summary.json");
const IS_QUICK: boolean = process.argv.includes("--quick");
const IS_FOR_README: boolean = process.argv.includes("--readme");
/** Real commits, unless nobody looks at the times. */
const FSYNC = IS_QUICK ? "off" : "on";

const figures: Figure[] = [];
const missing: string[] = [];
const raw: Record<string, Readonly<Record<string, unknown>>> = {};

if (IS_QUICK && IS_FOR_README) throw new Error("Cannot write quick figures into README.md");
const tools = await findTools();
missing.push(...tools.missing.map(({ name, why }) => `${name} (${why})`));
const substrate = await openSubstrate("local");
try {
  const server = await substrate.postgres({ settings: { fsync: FSYNC } });
  const pool = await substrate.pgbouncer(server, { poolSize: 2 });
  const on = describeMachine(server, pool, tools);
  for (const fact of on) say(fact);
  say("");
  const stage = openStage(server, pool);
  await atHead(stage);
  await migrate(stage);
  await together(stage);
  say("");
  for (const what of missing) say(`not compared: ${what}`);
  say(renderTally(figures));
  keepAll({ on, figures, missing });
} finally {
  await substrate.close();
}

function openStage(server: PostgresServer, pool: Pgbouncer): Stage {
  return {
    ...{ tools, server, pool },
    size: (full, quick) => (IS_QUICK ? quick : full),
    note,
    miss: (what) => void missing.push(what),
    keep: (what: string, samples: Samples) => {
      raw[what] = Object.fromEntries(samples);
    },
  };
}

function note(figure: Figure): void {
  if (Number.isNaN(figure.value)) {
    if (tools.missing.some(({ name }) => figure.name.includes(name))) return;
    throw new Error(`Cannot tell "${figure.name}": nothing was measured`);
  }
  figures.push(figure);
  say(renderLine(figure));
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function describeMachine(
  server: PostgresServer,
  pool: Pgbouncer,
  { said }: Tools,
): readonly string[] {
  return [
    `${cpus()[0]?.model.trim() ?? arch()}, ${cpus().length} processors, ${process.platform} ${release()}`,
    `PostgreSQL ${server.version} with fsync ${FSYNC}, PgBouncer ${pool.version} in transaction mode, SCRAM over TCP on loopback`,
    ...(said.length === 0 ? [] : [said.join(", ")]),
    `${IS_QUICK ? "quick run" : "medians of round-by-round ratios"}, programs read from disk by running them`,
  ];
}

function keepAll(summary: BenchSummary): void {
  const write = (file: string, data: unknown): void =>
    writeFileSync(file, `${JSON.stringify(data, null, 2)}\n`);
  write(join(DIST, "bench.json"), summary);
  write(join(DIST, "bench-samples.json"), raw);
  if (!IS_FOR_README) return;
  write(SUMMARY, summary);
  // Its blocks are imported with the summary: a process of its own reads the new one.
  const { exitCode } = Bun.spawnSync([process.execPath, join(DIST, "../.ci/readme.ts")]);
  if (exitCode !== 0) throw new Error("Cannot rewrite README.md: run bun .ci/readme.ts");
}
