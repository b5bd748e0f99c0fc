/** Every command but a plain probe: from argv to its outcome. */
import { commandOf, type Invocation, parseArgv } from "../cli/parse-argv.ts";
import type { Invoked, Outcome, Seeds } from "../cli/run.ts";
import { type CommandName, needsDatabase } from "../config/commands.ts";
import { loadSettings } from "../config/config.ts";
import type { Env } from "../config/libpq-env.ts";
import { SETTINGS, type Settings } from "../config/settings.ts";
import type { Run } from "../db/record.ts";
import { VERSION } from "../embed/version.ts";
import type { RequiredSeeds } from "../flow/required-seeds.ts";
import type { Confirm } from "../ports.ts";
import type { Source } from "../runtime/bundle-source.ts";
import { compileEagerly } from "../runtime/engine.ts";
import { readFile } from "../runtime/files.ts";
import { guarded, newShape } from "./guard.ts";
import { askProbe } from "./probe.ts";
import { logFor, reach } from "./reach.ts";
import type { Program, Shape } from "./shape.ts";

type Invoking = Extract<Invocation, { readonly kind: "command" }>;
type Asking = Invoking & Pick<Invoked, "command">;

/** A fleet runs them all at once, and most have nothing to do but look. */
const BRIEF: readonly CommandName[] = ["probe", "wait", "up"];

/** Runs it. Never throws. */
export function runCommand(program: Program, argv: readonly string[]): Promise<Outcome> {
  const shape = newShape(argv, program);
  return guarded(
    program,
    shape,
    () => invoke(program, argv, shape),
    async (error) => (await import("./fail.ts")).fail(argv, program.env, shape, error),
  );
}

async function invoke(program: Program, argv: readonly string[], shape: Shape): Promise<Outcome> {
  const invocation = parse(argv, shape);
  if (invocation.kind === "help") {
    const { renderHelp } = await import("../cli/help.ts");
    return { stdout: renderHelp(invocation.topic), exitStatus: 0 };
  }
  if (invocation.kind === "version") return (await import("./offline.ts")).version(program, {});
  return run(program, invocation, shape);
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

async function run(program: Program, invocation: Invoking, shape: Shape): Promise<Outcome> {
  const { command } = invocation;
  shape.command = command;
  shape.isProbe = command === "probe";
  if (!BRIEF.includes(command)) compileEagerly();
  const { settings, env } = loadSettings({ ...invocation, env: program.env, readFile });
  shape.settings = settings;
  if (command === "probe") return probeWith(program, shape, settings, env);
  shape.isJson = settings.json;
  shape.log = logFor(shape, settings);
  if (!needsDatabase(command)) {
    const { offline } = await import("./offline.ts");
    return offline(program, { ...invocation, command }, settings);
  }
  if (command === "up" && settings.skipMigrations === "yield") {
    const { yieldMigrations } = await import("../cli/run.ts");
    return yieldMigrations(shape.log, settings);
  }
  return ask(program, shape, { ...invocation, command }, { settings, env });
}

/** A probe that is not plain. */
function probeWith(program: Program, shape: Shape, settings: Settings, env: Env): Promise<Outcome> {
  const loadSeeds = async ({ readSeeds }: Source): Promise<RequiredSeeds | undefined> => {
    const { loadRequired } = await import("../cli/load-seeding.ts");
    const { RBAC_MARK: mark } = await import("../embed/rbac.ts");
    return loadRequired(settings, { env, readFile, mark, readSeeds });
  };
  return askProbe(program, shape, { settings, env, loadSeeds });
}

/** The commands that need a database. */
async function ask(
  program: Program,
  shape: Shape,
  invocation: Asking,
  { settings, env }: { readonly settings: Settings; readonly env: Env },
): Promise<Outcome> {
  const { command } = invocation;
  const { world, access, source } = await reach(program, shape, { command, settings, env });
  if (settings.deadline > 0 && command !== "wait")
    shape.stop.after(settings.deadline, "--deadline");
  const { run: runCommand } = await import("../cli/run.ts");
  const seeds = await seedsOf(command, shape, settings, { env, readSeeds: source.readSeeds });
  const identify = identifyAs(program);
  const confirm: Confirm = async (text) => (await import("../runtime/confirm.ts")).confirm(text);
  const spawn = async () => (await import("../runtime/spawn.ts")).createSpawn(program, env);
  const invoked = { ...invocation, settings, identify, seeds, confirm, spawn };
  return runCommand(world, access, source, invoked);
}

/** What is to be seeded, or must be. */
async function seedsOf(
  command: Asking["command"],
  shape: Shape,
  settings: Settings,
  given: { readonly env: Env; readonly readSeeds: Source["readSeeds"] },
): Promise<Seeds> {
  if (!SETTINGS.seeds.commands.includes(command)) return {};
  const { loadSeeds } = await import("../cli/load-seeding.ts");
  const { loadRbacSpec, RBAC_MARK: mark } = await import("../embed/rbac.ts");
  const { createVault } = await import("../runtime/vault.ts");
  const world = { ...given, readFile, mark, loadSpec: loadRbacSpec, createVault };
  const seeds = await loadSeeds(command, settings, world);
  const password = seeds.seeding?.password.given;
  if (password !== undefined) shape.secrets = [...shape.secrets, password];
  return seeds;
}

/** Only who may write needs a name, so a reader loads nothing for it. */
function identifyAs({ pid }: Program): () => Promise<Run> {
  return async () => {
    const { hostAndPid } = await import("../runtime/host.ts");
    return { id: crypto.randomUUID(), place: hostAndPid(pid), toolVersion: VERSION };
  };
}
