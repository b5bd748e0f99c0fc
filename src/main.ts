/**
 * Builds the real world, runs one command, sets the exit status. The only user of `process`.
 *
 * The main path: `main` → `cli/run.ts` → `flow/<command>.ts`.
 */
import { announceTargets } from "./cli/announce-targets.ts";
import type { Shape as FailureShape } from "./cli/failure.ts";
import { commandOf, type Invocation, parseArgv } from "./cli/parse-argv.ts";
import type { Invoked, Outcome, Seeds } from "./cli/run.ts";
import { needsDatabase } from "./config/commands.ts";
import { loadConnection, loadSettings } from "./config/config.ts";
import type { Env } from "./config/libpq-env.ts";
import { redact, secretsOf } from "./config/redact.ts";
import { SETTINGS, type Settings } from "./config/settings.ts";
import { EVENTS } from "./core/events.ts";
import type { Run } from "./db/record.ts";
import { TARGET, VERSION } from "./embed/version.ts";
import type { World } from "./flow/access.ts";
import { createLog } from "./log/writer.ts";
import { sourceOf } from "./main/bundle-source.ts";
import type { Confirm } from "./ports.ts";
import type { Source } from "./runtime/bundle-source.ts";
import { clockUntil } from "./runtime/clock.ts";
import { readFile } from "./runtime/files.ts";
import { isStderrTerminal, writeStderr, writeStdout } from "./runtime/stdio.ts";
import { createStop, type Stop } from "./runtime/stop.ts";

/** What is known of this run so far. */
interface Shape extends FailureShape {
  readonly stop: Stop;
  command: Invoking["command"] | undefined;
  settings: Settings | undefined;
}

type Invoking = Extract<Invocation, { readonly kind: "command" }>;
type Asking = Invoking & Pick<Invoked, "command">;

/** From source there is no executable that was started. */
const PROGRAM = { start: TARGET === undefined ? undefined : process, runtimes: process.versions };

/** A fleet runs them all at once, and most have nothing to do but look. */
const BRIEF: ReadonlySet<string> = new Set(["probe", "wait", "up"]);

async function main(argv: readonly string[]): Promise<Outcome> {
  process.exitCode = 1;
  const shape: Shape = {
    isProbe: false,
    isJson: argv.includes("--json") || process.env["HEADGATE_JSON"] === "true",
    log: () => undefined,
    secrets: [],
    stop: createStop(() => shape.command),
    command: undefined,
    settings: undefined,
  };
  for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, () => shape.stop.by(name));
  shape.log = logFor(shape, { logFormat: "auto", logLevel: "info" });
  try {
    return await Promise.race([invoke(parse(argv, shape), shape), shape.stop.over]);
  } catch (error) {
    return fail(argv, shape, error);
  }
}

async function fail(argv: readonly string[], shape: Shape, error: unknown): Promise<Outcome> {
  const { failed, namedTerminationLog } = await import("./cli/failure.ts");
  const { lastWords, ...outcome } = failed(shape, error);
  const { command, settings } = shape;
  if (command === undefined || !SETTINGS.terminationLog.commands.includes(command)) return outcome;
  const { writeTerminationLog } = await import("./runtime/termination-log.ts");
  const file = settings ? settings.terminationLog : namedTerminationLog(argv, process.env);
  const reason = writeTerminationLog(file, lastWords);
  if (reason !== undefined) shape.log("termination.unlogged", { file, reason });
  return outcome;
}

/** A command line that cannot be read may still name its command. */
function parse(argv: readonly string[], shape: Shape): Invocation {
  try {
    return parseArgv(argv);
  } catch (error) {
    shape.command = commandOf(argv);
    shape.isProbe = shape.command === "probe";
    throw error;
  }
}

async function invoke(invocation: Invocation, shape: Shape): Promise<Outcome> {
  if (invocation.kind === "help") {
    const { renderHelp } = await import("./cli/help.ts");
    return { stdout: renderHelp(invocation.topic), exitStatus: 0 };
  }
  if (invocation.kind === "version") {
    return (await import("./main/offline.ts")).version(PROGRAM, {});
  }
  shape.command = invocation.command;
  shape.isProbe = shape.command === "probe";
  // The binary starts with a compiler that holds back: right for what is over soon, wrong for the rest.
  if (!BRIEF.has(shape.command) && typeof Bun !== "undefined") Bun.unsafe.setJITPolicy(1);
  const { settings, env } = loadSettings({ ...invocation, env: process.env, readFile });
  shape.settings = settings;
  shape.isJson = settings.json;
  shape.log = logFor(shape, settings);
  const { command } = invocation;
  if (!needsDatabase(command)) {
    const { offline } = await import("./main/offline.ts");
    return offline(PROGRAM, { ...invocation, command }, settings);
  }
  if (command === "up" && settings.skipMigrations === "yield") {
    const { yieldMigrations } = await import("./cli/run.ts");
    return yieldMigrations(shape.log, settings);
  }
  return ask({ ...invocation, command }, shape, settings, env);
}

/** The commands that need a database. */
async function ask(
  invocation: Asking,
  shape: Shape,
  settings: Settings,
  env: Env,
): Promise<Outcome> {
  const { command } = invocation;
  const source = await sourceOf(settings.dir, PROGRAM.start);
  const targets = loadConnection(command, settings, env, readFile);
  const { main: target, direct } = targets;
  shape.secrets = [target, direct].flatMap((each) => (each ? secretsOf(each) : []));
  announceTargets(shape, targets);
  if (shape.isProbe) shape.stop.after(settings.timeout - performance.now(), "--timeout");
  else if (settings.deadline > 0 && command !== "wait")
    shape.stop.after(settings.deadline, "--deadline");
  const stop = shape.stop.signal;
  const clock = clockUntil(stop);
  const world: World = { clock, log: shape.log, random: Math.random, stop, openReader };
  const { run } = await import("./cli/run.ts");
  const seeds = await seedsOf(command, shape, settings, { env, readSeeds: source.readSeeds });
  const access = {
    main: target,
    direct,
    ledger: settings.ledger,
    connectTimeoutMs: settings.connectTimeout,
  };
  const confirm: Confirm = async (text) => (await import("./runtime/confirm.ts")).confirm(text);
  const spawn = async () => (await import("./runtime/spawn.ts")).createSpawn(process, env);
  const invoked = { ...invocation, settings, identify, seeds, confirm, spawn };
  return run(world, access, source, invoked);
}

/** On Bun by its own sockets; elsewhere the general client reads too. */
const openReader: World["openReader"] = async (options) => {
  if (typeof Bun === "undefined")
    return (await import("./db/connection.ts")).openConnection(options);
  const { openSession } = await import("./wire/session.ts");
  return openSession((await import("./runtime/bun.ts")).BUN_WIRE, options);
};

/** What is to be seeded, or must be; most probes ask for neither, and load nothing for it. */
async function seedsOf(
  command: Asking["command"],
  shape: Shape,
  settings: Settings,
  given: { readonly env: Env; readonly readSeeds: Source["readSeeds"] },
): Promise<Seeds> {
  if (!SETTINGS.seeds.commands.includes(command)) return {};
  if (shape.isProbe && !settings.requireSeeds) return {};
  const { loadSeeds } = await import("./cli/load-seeding.ts");
  const { loadRbacSpec, RBAC_MARK: mark } = await import("./embed/rbac.ts");
  const { createVault } = await import("./runtime/vault.ts");
  const world = { ...given, readFile, mark, loadSpec: loadRbacSpec, createVault };
  const seeds = await loadSeeds(command, settings, world);
  const password = seeds.seeding?.password.given;
  if (password !== undefined) shape.secrets = [...shape.secrets, password];
  return seeds;
}

/** Only who may write needs a name, so a reader loads nothing for it. */
async function identify(): Promise<Run> {
  const { hostAndPid } = await import("./runtime/host.ts");
  return { id: crypto.randomUUID(), place: hostAndPid(process.pid), toolVersion: VERSION };
}

function logFor(shape: Shape, settings: Pick<Settings, "logFormat" | "logLevel">): World["log"] {
  return createLog({
    format: settings.logFormat,
    isTerminal: isStderrTerminal,
    level: settings.logLevel,
    events: EVENTS,
    redact: (text) => redact(text, shape.secrets),
    now: () => new Date(),
    write: writeStderr,
  });
}

const { stdout, exitStatus }: Outcome = await main(process.argv.slice(2));
await writeStdout(stdout);
process.exit(exitStatus);
