/**
 * Builds the real world, runs one command, sets the exit status. The only user of `process`.
 *
 * The main path: `main` → `cli/run.ts` → `flow/<command>.ts`.
 */
import type { Shape as FailureShape } from "./cli/failure.ts";
import { commandOf, type Invocation, parseArgv } from "./cli/parse-argv.ts";
import type { Outcome, Seeds } from "./cli/run.ts";
import { loadConnection, loadSettings } from "./config/config.ts";
import type { Env } from "./config/libpq-env.ts";
import { redact, secretsOf } from "./config/redact.ts";
import { SETTINGS, type Settings } from "./config/settings.ts";
import { EVENTS } from "./core/events.ts";
import { headOf, nonEmptyBundle } from "./core/head.ts";
import { describeTarget } from "./core/target.ts";
import type { Run } from "./db/record.ts";
import type { BundleSource, World } from "./flow/access.ts";
import { createLog } from "./log/writer.ts";
import { clockUntil } from "./runtime/clock.ts";
import { readFile, readMigrationFolder } from "./runtime/files.ts";
import { isStderrTerminal, writeStderr, writeStdout } from "./runtime/stdio.ts";
import { createStop, type Stop } from "./runtime/stop.ts";

/** What is known of this run so far. */
interface Shape extends FailureShape {
  readonly stop: Stop;
  command: Command["command"] | undefined;
  settings: Settings | undefined;
}

type Command = Extract<Invocation, { readonly kind: "command" }>;

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
  if (invocation.kind === "version") return version(undefined, false);
  shape.command = invocation.command;
  shape.isProbe = shape.command === "probe";
  const { settings, env } = loadSettings({ ...invocation, env: process.env, readFile });
  shape.settings = settings;
  shape.isJson = settings.json;
  shape.log = logFor(shape, settings);
  if (invocation.command === "version") return version(settings.dir, settings.json);
  if (invocation.command === "up" && settings.skipMigrations === "yield") {
    const { yieldMigrations } = await import("./cli/run.ts");
    return yieldMigrations(shape.log, settings);
  }
  return ask(invocation, shape, settings, env);
}

/** The commands that need a database. */
async function ask(
  invocation: Command,
  shape: Shape,
  settings: Settings,
  env: Env,
): Promise<Outcome> {
  const { command } = invocation;
  if (command === "version") throw new TypeError("version needs no database");
  const source = await bundleSource(settings.dir);
  const { main: target, direct, ignored } = loadConnection(command, settings, env, readFile);
  shape.secrets = [target, direct].flatMap((each) => (each ? secretsOf(each) : []));
  for (const each of direct ? [target, direct] : [target]) {
    shape.log("connection.chosen", { source: each.source, target: describeTarget(each) });
  }
  if (ignored.length > 0 && !shape.isProbe) {
    shape.log("settings.ignored", { names: ignored.join(", ") });
  }
  if (shape.isProbe) shape.stop.after(settings.timeout - performance.now(), "--timeout");
  else if (settings.deadline > 0) shape.stop.after(settings.deadline, "--deadline");
  const stop = shape.stop.signal;
  const world: World = { clock: clockUntil(stop), log: shape.log, random: Math.random, stop };
  const { run } = await import("./cli/run.ts");
  const seeds = await seedsOf(command, shape, settings, env);
  const access = {
    main: target,
    direct,
    ledger: settings.ledger,
    connectTimeoutMs: settings.connectTimeout,
  };
  const confirm = async (question: string): Promise<boolean | undefined> =>
    (await import("./runtime/confirm.ts")).confirm(question);
  const spawn = async () => (await import("./runtime/spawn.ts")).createSpawn(process, env);
  const invoked = { ...invocation, command, settings, identify, seeds, confirm, spawn };
  return run(world, access, source, invoked);
}

/** What is to be seeded, or must be; most probes ask for neither, and load nothing for it. */
async function seedsOf(
  command: Command["command"],
  shape: Shape,
  settings: Settings,
  env: Env,
): Promise<Seeds> {
  if (!SETTINGS.seeds.commands.includes(command)) return {};
  if (shape.isProbe && !settings.requireSeeds) return {};
  const { loadSeeds } = await import("./cli/load-seeding.ts");
  const { loadRbacSpec, RBAC_MARK: mark } = await import("./embed/rbac.ts");
  const { readSeedFolder } = await import("./runtime/seed-folder.ts");
  const { createVault } = await import("./runtime/vault.ts");
  const world = { env, readFile, mark, loadSpec: loadRbacSpec, readSeedFolder, createVault };
  const seeds = await loadSeeds(command, settings, world);
  const password = seeds.seeding?.password.given;
  if (password !== undefined) shape.secrets = [...shape.secrets, password];
  return seeds;
}

/** Only who may write needs a name, so a reader loads nothing for it. */
async function identify(): Promise<Run> {
  const { hostAndPid } = await import("./runtime/host.ts");
  const { VERSION } = await import("./embed/version.ts");
  return { id: crypto.randomUUID(), place: hostAndPid(process.pid), toolVersion: VERSION };
}

async function bundleSource(folder: string | undefined): Promise<BundleSource> {
  if (folder === undefined) {
    const { HEAD, loadEmbedded } = await import("./embed/source.ts");
    return { head: HEAD, load: async () => nonEmptyBundle(await loadEmbedded()) };
  }
  const { buildBundle } = await import("./core/bundle.ts");
  const bundle = nonEmptyBundle(buildBundle(readMigrationFolder(folder), folder));
  return { head: headOf(bundle), load: async () => bundle };
}

async function version(folder: string | undefined, isJson: boolean): Promise<Outcome> {
  const { COMMIT, VERSION } = await import("./embed/version.ts");
  const { head } = await bundleSource(folder);
  const { renderVersion } = await import("./cli/render-version.ts");
  const stdout = renderVersion({ version: VERSION, commit: COMMIT, head }, isJson);
  return { stdout, exitStatus: 0 };
}

function logFor(shape: Shape, settings: Pick<Settings, "logFormat" | "logLevel">): World["log"] {
  const auto = isStderrTerminal() ? "text" : "json";
  return createLog({
    format: settings.logFormat === "auto" ? auto : settings.logFormat,
    level: settings.logLevel,
    events: EVENTS,
    redact: (text) => redact(text, shape.secrets),
    now: () => new Date(),
    write: writeStderr,
  });
}

const { stdout, exitStatus }: Outcome = await main(process.argv.slice(2));
writeStdout(stdout);
process.exit(exitStatus);
