/** Who is measured: headgate, an empty program of its runtime, and whatever else this machine has. */
import { spawnSync } from "node:child_process";
import { existsSync, statSync, writeFileSync } from "node:fs";
import { arch } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { findProgram } from "../../.ci/prerequisites.ts";
import { createScratchFolder } from "../support/scratch.ts";
import type { Contender } from "./measure.ts";

const ROOT: string = join(import.meta.dirname, "../..");
/** Debian's interpreter: its packages are Debian's too. */
const PYTHON = "/usr/bin/python3";
const PYTHON_PACKAGES = ["alembic", "sqlalchemy", "psycopg2"];

export interface Tools {
  readonly headgate: string;
  /** A program of the same runtime that does nothing. */
  readonly empty: string;
  /** Undefined: not installed, not compared. */
  readonly psql: string | undefined;
  readonly dbmate: string | undefined;
  readonly python: string | undefined;
  readonly floor: string | undefined;
  /** One line per tool, for people. */
  readonly said: readonly string[];
  /** Those that could not be compared. */
  readonly missing: readonly Missing[];
}

export interface Missing {
  /** As figures name it. */
  readonly name: string;
  readonly why: string;
}

/** Finds what is there, and compiles what is compiled. */
export async function findTools(): Promise<Tools> {
  const psql = realPsql();
  const dbmate = process.env["DBMATE"] ?? dbmateOfNpm() ?? findProgram("dbmate") ?? undefined;
  const floor = compileFloor();
  const python = pythonVersions();
  const found = [
    { name: "psql", tool: psql, why: "not installed" },
    { name: "dbmate", tool: dbmate, why: "not installed" },
    { name: "static C", tool: floor, why: "gcc or a static libcrypto is not installed" },
    { name: "Python", tool: python, why: `${PYTHON_PACKAGES.join(", ")} are not installed` },
  ];
  const missing = found.filter(({ tool }) => tool === undefined);
  const said = [
    ...(psql === undefined ? [] : [versionOf(psql)]),
    ...(dbmate === undefined ? [] : [versionOf(dbmate)]),
    ...(python === undefined ? [] : [python]),
  ];
  const headgate = process.env["HEADGATE_BINARY"] ?? join(ROOT, "dist/headgate");
  const empty = await compileEmpty();
  return { headgate, empty, psql, dbmate, floor, python: python && PYTHON, said, missing };
}

/** Debian's own `psql` is a wrapper that costs more than the program. */
function realPsql(): string | undefined {
  const folders = [...new Bun.Glob("/usr/lib/postgresql/*/bin").scanSync({ onlyFiles: false })];
  const PATH = folders.toSorted().toReversed().join(":");
  return Bun.which("psql", { PATH }) ?? findProgram("psql") ?? undefined;
}

/** The program itself: its npm shim costs more than it. */
function dbmateOfNpm(): string | undefined {
  const file = join(ROOT, `node_modules/@dbmate/${process.platform}-${arch()}/bin/dbmate`);
  return existsSync(file) ? file : undefined;
}

function versionOf(program: string): string {
  const { stdout } = spawnSync(program, ["--version"], { encoding: "utf8" });
  return stdout
    .replace(/ version|\(PostgreSQL\) /, "")
    .replace(/\(.*/s, "")
    .trim();
}

function pythonVersions(): string | undefined {
  const facts = PYTHON_PACKAGES.map((name) => `"${name}", ${name}.__version__.split()[0]`);
  const text = `import sys, ${PYTHON_PACKAGES.join(", ")}
print("Python", sys.version.split()[0], "with", ${facts.join(", ")})`;
  const run = spawnSync(PYTHON, ["-c", text], { encoding: "utf8" });
  return run.status === 0 ? run.stdout.trim() : undefined;
}

function compileFloor(): string | undefined {
  const file = join(createScratchFolder("floor"), "floor");
  const source = join(import.meta.dirname, "floor.c");
  const run = spawnSync("gcc", ["-O2", "-static", "-w", "-o", file, source, "-lcrypto"]);
  return run.status === 0 ? file : undefined;
}

/** What a program of this runtime costs that does nothing. */
async function compileEmpty(): Promise<string> {
  const folder = createScratchFolder("empty");
  const source = join(folder, "empty.ts");
  const outfile = join(folder, "empty");
  writeFileSync(source, "process.exit(0);\n");
  const result = await Bun.build({
    entrypoints: [source],
    minify: true,
    bytecode: true,
    format: "esm",
    compile: { outfile, autoloadDotenv: false, autoloadBunfig: false },
  });
  if (!result.success) throw new AggregateError(result.logs, "Cannot compile the empty program");
  return outfile;
}

/** An executable that carries these migrations. @throws {Error} with what headgate said. */
export function bundleOf({ headgate }: Tools, migrations: string): string {
  const file = join(createScratchFolder("bundle"), "headgate");
  const args = ["bundle", "--migrations", migrations, "--output", file];
  const run = spawnSync(headgate, args, { encoding: "utf8" });
  if (run.status !== 0) throw new Error(`headgate bundle ended with ${run.status}: ${run.stderr}`);
  return file;
}

export function sizeOf(file: string): number {
  return statSync(file).size;
}

/** @param program Another executable than the usual, such as one with another bundle. */
export function asHeadgate(
  program: string,
  url: string,
  args: readonly string[],
  name: string = args[0] ?? "",
): Contender {
  const env = { DATABASE_URL: `${url}?sslmode=disable`, HEADGATE_SEED: "none" };
  return { name, argv: [program, ...args], env };
}

/** The question that a probe asks, by the reference client. */
const QUESTION = "select version, history from headgate_migrations order by version desc limit 1";

export function asPsql(program: string, url: string): Contender {
  return { name: "psql", argv: [program, "-XAtc", QUESTION, `${url}?sslmode=disable`] };
}

/** All statements of a file in one transaction. */
export function asPsqlFile(program: string, url: string, file: string): Contender {
  const flags = ["-Xq1", "-v", "ON_ERROR_STOP=1", "-f", file];
  return { name: "psql -1", argv: [program, ...flags, `${url}?sslmode=disable`] };
}

export function asFloor(program: string, url: string): Contender {
  const { hostname, port, username, password, pathname } = new URL(url);
  const account = [username, password].map(decodeURIComponent);
  const argv = [program, hostname, port, ...account, pathname.slice(1), QUESTION];
  return { name: "static C", argv };
}

export function asDbmate(
  program: string,
  url: string,
  folder: string,
  ...args: readonly string[]
): Contender {
  const place = ["--url", `${url}?sslmode=disable`, "--migrations-dir", folder];
  return { name: "dbmate", argv: [program, ...place, "--no-dump-schema", ...args] };
}

/** The check of a startup probe, or with `upgrade` what makes it pass. */
export function asPython(
  program: string,
  url: string,
  config: string,
  task: "check" | "upgrade",
): Contender {
  const check = [join(import.meta.dirname, "check.py")];
  const upgrade = ["-m", "alembic.config", "-c", config, "upgrade", "head"];
  const env = {
    ALEMBIC_CONFIG: config,
    DATABASE_URL: url.replace(/^postgres:/, "postgresql+psycopg2:"),
  };
  return { name: "Python", argv: [program, ...(task === "check" ? check : upgrade)], env };
}
