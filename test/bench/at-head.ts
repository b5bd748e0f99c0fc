/** A schema at its head: what a probe costs, and `up` that has nothing to do. */
import process from "node:process";
import { buildBundle } from "../../src/core/bundle.ts";
import type { Migration } from "../../src/core/migration.ts";
import { query } from "../support/query.ts";
import { openRelay } from "../support/relay.ts";
import {
  anonymousKib,
  type Contender,
  forgetPages,
  measure,
  median,
  ratio,
  type Sample,
} from "./measure.ts";
import { openQuota } from "./quota.ts";
import type { Stage } from "./stage.ts";
import {
  asDbmate,
  asFloor,
  asHeadgate,
  asPsql,
  asPython,
  bundleOf,
  sizeOf,
  type Tools,
} from "./tools.ts";
import { type Workload, workload } from "./workload.ts";

/** Everyone's question to a schema at its head. What is not installed is not there. */
interface Questions {
  /** Migrations, and so ledger rows. */
  readonly count: number;
  readonly url: string;
  readonly program: string;
  readonly probe: Contender;
  readonly psql: readonly Contender[];
  readonly dbmate: readonly Contender[];
  readonly python: readonly Contender[];
  readonly floor: readonly Contender[];
}

export async function atHead(stage: Stage): Promise<void> {
  const questions = await prepareQuestions(stage);
  forgetPages(bigFiles(stage.tools, questions));
  await oneAtATime(stage, questions);
  await besidePython(stage, questions);
  await underQuota(stage, questions);
  await memory(stage, questions);
  await firstStart(stage, questions);
  await roundTrips(stage, questions);
  await longLedger(stage, questions);
}

/** Each tool brings a database of its own to its head. */
async function prepareQuestions({ tools, server, size }: Stage): Promise<Questions> {
  const light = workload("light", size(100, 20));
  const { url } = await server.createDatabase();
  const [ofDbmate, ofPython] = [await server.createDatabase(), await server.createDatabase()];
  const program = bundleOf(tools, light.headgate());
  const dbmate = (...args: string[]): readonly Contender[] =>
    tools.dbmate ? [asDbmate(tools.dbmate, ofDbmate.url, light.dbmate(), ...args)] : [];
  const python = (task: "check" | "upgrade"): readonly Contender[] =>
    tools.python ? [asPython(tools.python, ofPython.url, light.alembic(), task)] : [];
  const up = asHeadgate(program, url, ["up"]);
  await measure([up, ...dbmate("migrate"), ...python("upgrade")], 1, 0);
  return {
    ...{ url, program, count: light.count },
    probe: asHeadgate(program, url, ["probe"]),
    psql: tools.psql ? [asPsql(tools.psql, url)] : [],
    dbmate: dbmate("status", "--exit-code"),
    python: python("check"),
    floor: tools.floor ? [asFloor(tools.floor, url)] : [],
  };
}

function bigFiles({ empty, dbmate }: Tools, { program }: Questions): readonly string[] {
  return [program, empty, ...(dbmate ? [dbmate] : [])];
}

async function oneAtATime(stage: Stage, questions: Questions): Promise<void> {
  const { probe, program, url, psql, dbmate, floor } = questions;
  const empty: Contender = { name: "empty", argv: [stage.tools.empty] };
  const up = asHeadgate(program, url, ["up"]);
  const contenders = [probe, up, empty, ...psql, ...dbmate, ...floor];
  const samples = await measure(contenders, stage.size(30, 3));
  stage.keep("at head", samples);
  const of = (a: string, b: string, figure: keyof Sample): number => ratio(samples, a, b, figure);
  const { note } = stage;
  const psqlWall = of("probe", "psql", "wallMs");
  note({ name: "probe / psql, wall", value: psqlWall, target: 0.8, stretch: 0.65 });
  const psqlCpu = of("probe", "psql", "cpuMs");
  note({ name: "probe / psql, CPU", value: psqlCpu, target: 0.75, stretch: 0.55 });
  const dbmateWall = of("probe", "dbmate", "wallMs");
  note({ name: "probe / `dbmate status`, wall", value: dbmateWall, target: 0.7, stretch: 0.55 });
  const dbmateCpu = of("probe", "dbmate", "cpuMs");
  note({ name: "probe / `dbmate status`, CPU", value: dbmateCpu, target: 0.7, stretch: 0.55 });
  const floorWall = of("probe", "static C", "wallMs");
  note({ name: "probe / static C program, wall", value: floorWall, target: 1.9, stretch: 1.5 });
  note({ name: "empty program / psql, CPU", value: of("empty", "psql", "cpuMs") });
  note({ name: "probe / empty program, CPU", value: of("probe", "empty", "cpuMs") });
  const idle = of("up", "probe", "wallMs");
  note({ name: "`up` with nothing to do / probe, wall", value: idle, target: 1.3, stretch: 1.1 });
}

/** In rounds of its own: it takes as long as all the others together. */
async function besidePython({ size, keep, note }: Stage, questions: Questions): Promise<void> {
  const { probe, python } = questions;
  const samples = await measure([probe, ...python], size(10, 1), size(1, 0));
  keep("beside Python", samples);
  const wall = ratio(samples, "probe", "Python", "wallMs");
  note({ name: "probe / bare Python check, wall", value: wall, target: 0.05, stretch: 0.035 });
  const cpu = ratio(samples, "probe", "Python", "cpuMs");
  note({ name: "probe / bare Python check, CPU", value: cpu, target: 0.035, stretch: 0.025 });
}

async function underQuota(stage: Stage, { probe, psql, dbmate, python }: Questions): Promise<void> {
  const { size, keep, note, miss } = stage;
  let quota: ReturnType<typeof openQuota>;
  try {
    quota = openQuota();
  } catch (error) {
    return miss(`a CPU limit, which this user may not set here (${(error as Error).message})`);
  }
  try {
    const contenders = [probe, ...psql, ...dbmate, ...python].map(quota.limit);
    const samples = await measure(contenders, size(7, 1), size(1, 0));
    keep("at 100m", samples);
    const of = (other: string): number => ratio(samples, "probe", other, "wallMs");
    const slowestMs = Math.max(...(samples.get("probe") ?? []).map(({ wallMs }) => wallMs));
    note({ name: "CPU limit 100m: slowest probe, seconds", value: slowestMs / 1000, target: 1 });
    note({ name: "CPU limit 100m: probe / psql, wall", value: of("psql") });
    const status = "CPU limit 100m: probe / `dbmate status`, wall";
    note({ name: status, value: of("dbmate"), stretch: 0.75 });
    note({ name: "CPU limit 100m: probe / Python check, wall", value: of("Python"), target: 0.04 });
  } finally {
    quota.close();
  }
}

async function memory({ size, note, miss }: Stage, questions: Questions): Promise<void> {
  const { probe, dbmate, python } = questions;
  if (process.platform !== "linux") return miss("memory, which only Linux tells");
  const middle = async (contender: Contender): Promise<number> => {
    const each: number[] = [];
    for (let round = 0; round < size(5, 1); round += 1) each.push(await anonymousKib(contender));
    return median(each);
  };
  const own = await middle(probe);
  note({ name: "anonymous memory of a probe at its end, MiB", value: own / 1024 });
  for (const each of dbmate) {
    const value = own / (await middle(each));
    note({ name: "anonymous memory, probe / `dbmate status`", value, target: 0.7 });
  }
  for (const each of python) {
    const value = own / (await middle(each));
    note({ name: "anonymous memory, probe / Python check", value, target: 0.08 });
  }
}

/** With a big runtime this is the weak side; paid once on each node. */
async function firstStart({ tools, size, keep, note }: Stage, questions: Questions): Promise<void> {
  const { probe, dbmate, program } = questions;
  if (!tools.dbmate) return;
  const prepare = async (): Promise<void> => forgetPages(bigFiles(tools, questions));
  const cold = [probe, ...dbmate].map((each) => ({ ...each, prepare }));
  const samples = await measure(cold, size(5, 1), 0);
  keep("first start", samples);
  const value = ratio(samples, "probe", "dbmate", "wallMs");
  note({ name: "probe / `dbmate status`, wall, file not in memory yet", value });
  const bytes = sizeOf(program) / sizeOf(tools.dbmate);
  note({ name: "headgate / dbmate, size of the file", value: bytes });
}

/** The distance only tells what was sent together from what waited. */
async function roundTrips({ server, note }: Stage, { program, url }: Questions): Promise<void> {
  const relay = await openRelay(server, 20);
  try {
    const far = new URL(url);
    far.host = `${relay.host}:${relay.port}`;
    await measure([asHeadgate(program, far.href, ["probe"])], 1, 0);
    const name = "round trips of a probe, login included";
    note({ name, value: relay.turns(), target: 4, stretch: 3 });
  } finally {
    await relay.close();
  }
}

/** The same probe beside a ledger that is a hundred times as long. */
async function longLedger(stage: Stage, { probe, count: few }: Questions): Promise<void> {
  const { tools, server, size, keep, note } = stage;
  const count = size(10_000, 1000);
  const long = workload("light", count);
  const program = bundleOf(tools, long.headgate());
  const { url } = await server.createDatabase();
  await fillLedger(stage, long, url);
  const other = { ...asHeadgate(program, url, ["probe"]), name: "long" };
  forgetPages([program]);
  const samples = await measure([probe, other], size(20, 2));
  keep("long ledger", samples);
  const what = `probe at ${count} ledger rows / at ${few}`;
  const wall = ratio(samples, "long", "probe", "wallMs");
  note({ name: `${what}, wall`, value: wall, target: 1.05 });
  note({ name: `${what}, CPU`, value: ratio(samples, "long", "probe", "cpuMs") });
}

/** headgate makes the table and the first row; the others are as it would have written them. */
async function fillLedger({ tools }: Stage, { texts }: Workload, url: string): Promise<void> {
  const first = workload("light", 1).headgate();
  await measure([asHeadgate(tools.headgate, url, ["up", "--dir", first])], 1, 0);
  const files = texts.map((text, i) => ({ file: `${i + 1}_m.sql`, text: `${text}\n` }));
  const rows: readonly Migration[] = buildBundle(files, "the bench").slice(1);
  const values = rows.map(({ version, name, checksum, history }) => {
    return { version, name, checksum, history };
  });
  await query(
    url,
    `insert into headgate_migrations (version, name, checksum, history, state)
select version, name, checksum, history, 'applied'
from jsonb_to_recordset($rows$${JSON.stringify(values)}$rows$)
  as row (version bigint, name text, checksum text, history text);
analyze headgate_migrations`,
  );
}
