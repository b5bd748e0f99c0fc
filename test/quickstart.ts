/**
 * `npm run quickstart`: what headgate promises, shown on this machine. Builds the binary, starts PostgreSQL (from
 * npm) and PgBouncer (if there is one), lets many replicas start at once on an empty database, and looks at what they
 * left behind.
 *
 * Exit status 0 only if everything held. However it ends, it first stops everything that it started.
 */
import { statSync } from "node:fs";
import { arch, platform } from "node:os";
import { join, relative } from "node:path";
import process from "node:process";
import { findProgram } from "../.ci/prerequisites.ts";
import manifest from "../package.json" with { type: "json" };
import { packageOf } from "./support/embedded-postgres.ts";
import { type Run, start, withUrl } from "./support/headgate.ts";
import { query } from "./support/query.ts";
import {
  type Finding,
  type Findings,
  findingsOf,
  type Replica,
  renderSeconds,
  renderWho,
  type Traces,
  type UpReport,
} from "./support/quickstart-report.ts";
import {
  type Database,
  openSubstrate,
  type PostgresServer,
  type Substrate,
} from "./support/substrate.ts";

const REPLICAS = 24;
const POOL_SIZE = 2;
const BUILD_TIMEOUT_MS = 120_000;
const COMMAND_TIMEOUT_MS = 60_000;
const TOUR_TIMEOUT_MS = 240_000;
/** Longer than the longest step that cannot be cut short, the start of a server. */
const STOP_TIMEOUT_MS = 40_000;
const STEP_COLUMN = 14;
const FINDING_COLUMN = 23;

const ROOT: string = join(import.meta.dirname, "..");
const BINARY: string = join(ROOT, "dist/headgate");

interface Stop {
  readonly reason: string;
  readonly exitStatus: number;
}

interface Killable {
  kill(signal: NodeJS.Signals): void;
}

/** Set once somebody wants this to end early; what waits for a process then ends, because the process does. */
let stopped: Stop | undefined;
const processes = new Set<Killable>();

async function tour(substrate: Substrate): Promise<boolean> {
  requireServer();
  say(bold(`headgate quickstart: ${REPLICAS} replicas start at once on an empty database`), "");
  await build();
  const server = await startServer(substrate);
  const database = await server.createDatabase();
  const url = await startPooler(substrate, server, database);
  const findings = await raceOn(url, database);
  const results = findingsOf(findings);
  say("", bold("Who migrated what"), "", ...renderWho(findings).map(indent));
  say("", bold("What was proven"), "", ...results.map(renderFinding));
  say(...renderFailures(findings.replicas));
  return results.every(({ held }) => held !== false);
}

/** @throws {Error} in one line, when no server can run on this machine. */
function requireServer(): void {
  const prefix = "@embedded-postgres/";
  const names = Object.keys(manifest.optionalDependencies).filter((name) =>
    name.startsWith(prefix),
  );
  const targets = names.map((name) => name.slice(prefix.length));
  const here = `${platform()}-${arch()}`;
  if (!targets.includes(here)) {
    throw new Error(`npm has no PostgreSQL server for ${here}, only for ${targets.join(", ")}`);
  }
  packageOf(18);
}

async function build(): Promise<void> {
  const startMs = performance.now();
  const child = Bun.spawn([process.execPath, ".ci/build.ts"], {
    cwd: ROOT,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const read = (stream: ReadableStream): Promise<string> => new Response(stream).text();
  const output = Promise.all([read(child.stdout), read(child.stderr)]);
  await bounded(child, child.exited, BUILD_TIMEOUT_MS);
  if (child.exitCode !== 0) {
    throw new Error(`Cannot build the binary:\n${(await output).join("").trim()}`);
  }
  const took = renderSeconds(performance.now() - startMs);
  const megabytes = Math.round(statSync(BINARY).size / 1e6);
  step("binary", `${relative(ROOT, BINARY)}, one file of ${megabytes} MB, built in ${took}`);
}

async function startServer(substrate: Substrate): Promise<PostgresServer> {
  const startMs = performance.now();
  const server = await substrate.postgres();
  throwIfStopped();
  const took = renderSeconds(performance.now() - startMs);
  step("PostgreSQL", `${server.version} from npm, on port ${server.port}, ready in ${took}`);
  return server;
}

/** Returns the URL for the replicas. */
async function startPooler(
  substrate: Substrate,
  server: PostgresServer,
  database: Database,
): Promise<string> {
  if (findProgram("pgbouncer") === null) {
    step("PgBouncer", "none on the PATH, so the replicas connect to PostgreSQL directly");
    return database.url;
  }
  const pooler = await substrate.pgbouncer(server, { poolSize: POOL_SIZE });
  throwIfStopped();
  const mode = `transaction mode, ${POOL_SIZE} server connections for all`;
  step("PgBouncer", `${pooler.version} in front of it: ${mode}`);
  return pooler.urlOf(database);
}

async function raceOn(url: string, database: Database): Promise<Findings> {
  const probeBefore = await headgate(["probe"], url).run;
  const startMs = performance.now();
  const replicas = await Promise.all(
    Array.from({ length: REPLICAS }, async (): Promise<Replica> => {
      const { pid, run } = headgate(["up", "--json"], url);
      return { pid, run: await run, report: reportOf(await run) };
    }),
  );
  const took = renderSeconds(performance.now() - startMs);
  step("race", `${REPLICAS} × headgate up, the last one done after ${took}`);
  const probeAfter = await headgate(["probe"], url).run;
  return { replicas, probeBefore, probeAfter, traces: await readTraces(database.url) };
}

/** One command of the binary, within bounds: an overdue one is killed and has failed. */
function headgate(args: readonly string[], url: string): { pid: number; run: Promise<Run> } {
  const started = start(args, { ...withUrl(url), binary: BINARY });
  return { pid: started.pid, run: bounded(started, started.done, COMMAND_TIMEOUT_MS) };
}

async function bounded<T>(child: Killable, done: Promise<T>, timeoutMs: number): Promise<T> {
  processes.add(child);
  const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
  try {
    const result = await done;
    throwIfStopped();
    return result;
  } finally {
    clearTimeout(timer);
    processes.delete(child);
  }
}

function reportOf({ status, stdout }: Run): UpReport | undefined {
  return status === 0 ? (JSON.parse(stdout) as UpReport) : undefined;
}

async function readTraces(url: string): Promise<Traces> {
  const ledger = await query(
    url,
    "select version, name, duration_ms, applied_by from headgate_migrations order by version",
  ).catch(() => []);
  const [left] = await query(
    url,
    `select (select count(*) from pg_locks where locktype = 'advisory') as locks,
  (select count(*) from pg_stat_activity where state like 'idle in transaction%') as transactions`,
  );
  const [seeds] = await query(
    url,
    `select (select count(*) from email_users) as admins,
  (select count(*) from roles where is_active) as roles,
  (select count(*) from email_teams where is_active) as teams,
  (select count(*) from user_roles where is_active) as grants`,
  ).catch(() => []);
  const rows = ledger.map((row) => {
    const pid = Number(String(row["applied_by"]).split(":").at(-1));
    const [version, duration_ms] = [Number(row["version"]), Number(row["duration_ms"])];
    return { pid, version, name: String(row["name"]), duration_ms };
  });
  return {
    rows,
    seeds: {
      admins: Number(seeds?.["admins"]),
      roles: Number(seeds?.["roles"]),
      teams: Number(seeds?.["teams"]),
      grants: Number(seeds?.["grants"]),
    },
    advisoryLocks: Number(left?.["locks"]),
    openTransactions: Number(left?.["transactions"]),
  };
}

function renderFinding({ held, what, found }: Finding): string {
  const marks = { true: green("✓"), false: red("✗"), undefined: "·" } as const;
  return `  ${marks[`${held}`]} ${what.padEnd(FINDING_COLUMN)}${found}`;
}

/** The last words of the first replica that failed; the others' are mostly the same. */
function renderFailures(replicas: readonly Replica[]): readonly string[] {
  const failed = replicas.find(({ run }) => run.status !== 0);
  if (failed === undefined) return [];
  const { pid, run } = failed;
  return ["", `pid ${pid} ended with ${run.status}:`, ...run.stderr.trim().split("\n").slice(-3)];
}

function say(...lines: readonly string[]): void {
  for (const line of lines) console.log(line);
}

function step(what: string, result: string): void {
  say(`  ${what.padEnd(STEP_COLUMN)}${result}`);
}

function indent(line: string): string {
  return `  ${line}`;
}

function paint(code: number, text: string): string {
  const isColourful = process.stdout.isTTY === true && !process.env["NO_COLOR"];
  return isColourful ? `\u001b[${code}m${text}\u001b[0m` : text;
}

function bold(text: string): string {
  return paint(1, text);
}

function green(text: string): string {
  return paint(32, text);
}

function red(text: string): string {
  return paint(31, text);
}

function stopBecause(reason: string, exitStatus: number): void {
  if (stopped !== undefined) return;
  stopped = { reason, exitStatus };
  for (const child of processes) child.kill("SIGKILL");
  setTimeout(() => process.exit(exitStatus), STOP_TIMEOUT_MS).unref();
}

function throwIfStopped(): void {
  if (stopped !== undefined) throw new Error(stopped.reason);
}

/** Returns the exit status. */
async function main(): Promise<number> {
  process.on("SIGINT", () => stopBecause("stopped by SIGINT", 130));
  process.on("SIGTERM", () => stopBecause("stopped by SIGTERM", 143));
  process.on("SIGHUP", () => stopBecause("stopped by SIGHUP", 129));
  const overdue = `not done after ${TOUR_TIMEOUT_MS / 1000} s`;
  setTimeout(() => stopBecause(overdue, 1), TOUR_TIMEOUT_MS).unref();

  const substrate = await openSubstrate("local");
  let held: boolean | undefined;
  try {
    held = await tour(substrate);
  } catch (error) {
    await Bun.sleep(10); // Ctrl-C ends the servers too, and their end may be seen before the signal
    console.error(`quickstart: ${stopped?.reason ?? messageOf(error)}`);
  } finally {
    await substrate.close();
  }
  if (stopped !== undefined) return stopped.exitStatus;
  if (held === undefined) return 1;
  const verdict = held ? green("Everything held.") : red("Not everything held.");
  say("", `${verdict} All that was started is stopped again.`);
  return held ? 0 : 1;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

process.exit(await main());
