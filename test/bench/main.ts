/**
 * `bun run bench`: what headgate costs, as ratios of one run: beside psql, beside dbmate where it is installed, and
 * beside an empty program of the same runtime. `--quick` measures fewer rounds, to show that it works.
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { arch, cpus, release } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { findProgram } from "../../.ci/prerequisites.ts";
import { migrationFolder } from "../support/folder.ts";
import { createScratchFolder } from "../support/scratch.ts";
import {
  type Database,
  openSubstrate,
  type Pgbouncer,
  type PostgresServer,
} from "../support/substrate.ts";
import { type Contender, measure, median, ratio, storm } from "./measure.ts";

const ROOT: string = join(import.meta.dirname, "../..");
const BINARY: string = process.env["HEADGATE_BINARY"] ?? join(ROOT, "dist/headgate");
const IS_QUICK: boolean = process.argv.includes("--quick");
const ROUNDS: number = IS_QUICK ? 3 : 30;
const MIGRATE_ROUNDS: number = IS_QUICK ? 1 : 5;
const STORM: number = IS_QUICK ? 12 : 100;
const MIGRATIONS = 100;

interface Line {
  readonly figure: string;
  readonly ratio: number;
  readonly target: string;
}

const lines: Line[] = [];

function note(figure: string, value: number, target = ""): void {
  lines.push({ figure, ratio: value, target });
  process.stdout.write(`${figure.padEnd(64)} ${value.toFixed(2).padStart(7)}  ${target}\n`);
}

const psql = realPsql();
const dbmate = process.env["DBMATE"] ?? dbmateOfNpm() ?? findProgram("dbmate");
const scratch = createScratchFolder("bench");
const substrate = await openSubstrate("local");
try {
  const server = await substrate.postgres();
  const pool = await substrate.pgbouncer(server, { poolSize: 2 });
  say(`${cpus()[0]?.model ?? arch()} × ${cpus().length}, ${process.platform} ${release()}`);
  say(`PostgreSQL ${server.version}, PgBouncer ${pool.version}, SCRAM over TCP on loopback`);
  say(`psql: ${psql ?? "not found, not compared"}; dbmate: ${dbmate ?? "not found, not compared"}`);
  await atHead(server);
  await fresh(server);
  await together(server, pool);
  writeFileSync(join(ROOT, "dist/bench.json"), `${JSON.stringify(lines, null, 2)}\n`);
} finally {
  await substrate.close();
}

/** Debian's own `psql` is a wrapper that costs more than the program. */
function realPsql(): string | null {
  const folders = [...new Bun.Glob("/usr/lib/postgresql/*/bin").scanSync({ onlyFiles: false })];
  return (
    Bun.which("psql", { PATH: folders.toSorted().toReversed().join(":") }) ?? findProgram("psql")
  );
}

/** The program itself: its npm shim costs more than it. */
function dbmateOfNpm(): string | undefined {
  const file = join(ROOT, `node_modules/@dbmate/${process.platform}-${arch()}/bin/dbmate`);
  return existsSync(file) ? file : undefined;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function headgate(name: string, url: string, ...args: readonly string[]): Contender {
  const env = { DATABASE_URL: `${url}?sslmode=disable`, HEADGATE_SEED: "none" };
  return { name, argv: [BINARY, ...args], env };
}

/** The question that a probe asks, by the reference client. */
function asPsql(url: string): Contender {
  const text = "select version, history from headgate_migrations order by version desc limit 1";
  return { name: "psql", argv: [psql ?? "", "-XAtc", text, `${url}?sslmode=disable`] };
}

function asDbmate(url: string, folder: string, ...args: readonly string[]): Contender {
  const place = ["--url", `${url}?sslmode=disable`, "--migrations-dir", folder];
  return { name: "dbmate", argv: [dbmate ?? "", ...place, "--no-dump-schema", ...args] };
}

async function atHead(server: PostgresServer): Promise<void> {
  const [{ url }, other] = [await server.createDatabase(), await server.createDatabase()];
  const up = headgate("up", url, "up");
  const migrate = asDbmate(other.url, dbmateFolder("at-head"), "migrate");
  await measure(dbmate ? [up, migrate] : [up], 0);
  const contenders = [
    headgate("probe", url, "probe"),
    up,
    { name: "empty program", argv: [await emptyProgram()] },
    ...(psql ? [asPsql(url)] : []),
    ...(dbmate ? [asDbmate(other.url, dbmateFolder("at-head"), "status")] : []),
  ];
  const samples = await measure(contenders, ROUNDS);
  if (psql) {
    note("probe / psql, wall", ratio(samples, "probe", "psql", "wallMs"), "≤ 0.80");
    note("probe / psql, CPU", ratio(samples, "probe", "psql", "cpuMs"), "≤ 0.75");
    note("empty program / psql, CPU", ratio(samples, "empty program", "psql", "cpuMs"));
  }
  if (dbmate) {
    note("probe / dbmate status, wall", ratio(samples, "probe", "dbmate", "wallMs"), "≤ 0.70");
    note("probe / dbmate status, CPU", ratio(samples, "probe", "dbmate", "cpuMs"), "≤ 0.70");
  }
  note("up with nothing to do / probe, wall", ratio(samples, "up", "probe", "wallMs"), "≤ 1.3");
}

async function fresh(server: PostgresServer): Promise<void> {
  const folder = migrationFolder(
    Object.fromEntries(
      Array.from({ length: MIGRATIONS }, (_each, i) => [`${i + 1}_m.sql`, statement(i)]),
    ),
  );
  let database: Database | undefined;
  const prepare = async (): Promise<void> => {
    database = await server.createDatabase();
  };
  const url = (): string => database?.url ?? "";
  const fresh = (make: (url: string) => Contender): Contender => {
    const { name } = make("");
    return {
      name,
      prepare,
      get argv() {
        return make(url()).argv;
      },
      get env() {
        return make(url()).env ?? {};
      },
    };
  };
  const all = join(scratch, "all.sql");
  writeFileSync(all, Array.from({ length: MIGRATIONS }, (_each, i) => statement(i)).join("\n"));
  const contenders = [
    fresh((each) => headgate("up", each, "up", "--dir", folder)),
    fresh((each) => ({ ...headgate("up --atomic", each, "up", "--dir", folder, "--atomic") })),
    ...(psql
      ? [fresh((each) => ({ name: "psql -1", argv: [psql, "-Xq1", "-f", all, each] }))]
      : []),
    ...(dbmate ? [fresh((each) => asDbmate(each, dbmateFolder("fresh"), "migrate"))] : []),
  ];
  const samples = await measure(contenders, MIGRATE_ROUNDS);
  const what = `${MIGRATIONS} migrations`;
  if (dbmate) {
    note(`${what}: up / dbmate, wall`, ratio(samples, "up", "dbmate", "wallMs"), "≤ 0.45");
    note(`${what}: up / dbmate, CPU`, ratio(samples, "up", "dbmate", "cpuMs"));
  }
  if (psql) {
    note(`${what}: up / psql -1, wall`, ratio(samples, "up", "psql -1", "wallMs"));
    note(
      `${what}: up --atomic / psql -1, wall`,
      ratio(samples, "up --atomic", "psql -1", "wallMs"),
    );
  }
}

/** Many at once through a pool of two. */
async function together(server: PostgresServer, pool: Pgbouncer): Promise<void> {
  const database = await server.createDatabase();
  await measure([headgate("up", database.url, "up")], 0);
  const url = pool.urlOf(database);
  const rounds = IS_QUICK ? 1 : 3;
  const walls: number[] = [];
  const cpus_: number[] = [];
  for (let round = 0; psql && round < rounds; round += 1) {
    const probes = await storm(headgate("probe", url, "probe", "--timeout", "60s"), STORM);
    const psqls = await storm(asPsql(url), STORM);
    walls.push(probes.wallMs / psqls.wallMs);
    cpus_.push(probes.cpuMs / psqls.cpuMs);
  }
  if (psql) {
    note(`${STORM} probes at once, pool of 2 / psql, until all are done`, median(walls), "≤ 1.0");
    note(`${STORM} probes at once, pool of 2 / psql, CPU`, median(cpus_), "≤ 0.8");
  }
  for (const count of IS_QUICK ? [6] : [24, 100]) {
    const alone = await storm(headgate("up", pool.urlOf(await server.createDatabase()), "up"), 1);
    const many = await storm(
      headgate("up", pool.urlOf(await server.createDatabase()), "up"),
      count,
    );
    note(
      `${count} up at once on an empty database, pool of 2 / one`,
      many.wallMs / alone.wallMs,
      count === 24 ? "≤ 1.5" : "≤ 2",
    );
  }
}

function statement(i: number): string {
  return i === 0
    ? "create table t1 (id bigint primary key, v text);"
    : `comment on table t1 is 'm${i}';`;
}

function dbmateFolder(name: string): string {
  const folder = join(scratch, name);
  mkdirSync(folder, { recursive: true });
  for (let i = 0; i < MIGRATIONS; i += 1) {
    const version = `20250101${String(i + 1).padStart(6, "0")}`;
    const text = `-- migrate:up\n${statement(i)}\n\n-- migrate:down\nselect 1;\n`;
    writeFileSync(join(folder, `${version}_m.sql`), text);
  }
  return folder;
}

/** What a program of this runtime costs that does nothing. */
async function emptyProgram(): Promise<string> {
  const source = join(scratch, "empty.ts");
  const outfile = join(scratch, "empty");
  writeFileSync(source, "process.exit(0);\n");
  const result = await Bun.build({
    entrypoints: [source],
    minify: true,
    bytecode: true,
    format: "esm",
    compile: { outfile, autoloadDotenv: false, autoloadBunfig: false },
  });
  if (!result.success) throw new AggregateError(result.logs, "the empty program does not compile");
  return outfile;
}
