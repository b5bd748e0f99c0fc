/** From settings to a database: what it is judged by, which one it is, and the world it is asked in. */
import { announceTargets } from "../cli/announce-targets.ts";
import type { CommandName } from "../config/commands.ts";
import { loadConnection } from "../config/connection-settings.ts";
import type { Env } from "../config/libpq-env.ts";
import type { ProbeSettings } from "../config/probe-settings.ts";
import { redact, secretsOf } from "../config/redact.ts";
import type { Settings } from "../config/settings.ts";
import { EVENTS } from "../core/events.ts";
import { TARGET } from "../embed/version.ts";
import type { Access, World } from "../flow/access.ts";
import { createLog } from "../log/writer.ts";
import { BUN_WIRE } from "../runtime/bun.ts";
import type { Source } from "../runtime/bundle-source.ts";
import type { Start } from "../runtime/cargo.ts";
import { clockUntil } from "../runtime/clock.ts";
import { IS_BUN } from "../runtime/engine.ts";
import { readFile } from "../runtime/files.ts";
import { isStderrTerminal, writeStderr } from "../runtime/stdio.ts";
import { openSession } from "../wire/session.ts";
import { sourceOf } from "./bundle-source.ts";
import type { Program, Shape } from "./shape.ts";

/** All that a flow is given. */
export interface Reached {
  readonly world: World;
  readonly access: Access;
  readonly source: Source;
}

/** A command with its settings. */
export interface Asked {
  readonly command: CommandName;
  readonly settings: ProbeSettings & Partial<Pick<Settings, "direct">>;
  readonly env: Env;
}

/** How the executable was started; undefined: headgate runs from source. */
export function startOf(program: Program): Start | undefined {
  return TARGET === undefined ? undefined : program;
}

/**
 * Reads all that must be known before a connection is made; makes none.
 *
 * @throws {HeadgateError} `config-invalid` or `bundle-invalid`
 */
export async function reach(program: Program, shape: Shape, asked: Asked): Promise<Reached> {
  const { command, settings, env } = asked;
  const source = await sourceOf(settings.dir, startOf(program));
  const targets = loadConnection(command, settings, env, readFile);
  const { main, direct } = targets;
  shape.secrets = direct ? [...secretsOf(main), ...secretsOf(direct)] : secretsOf(main);
  announceTargets(shape, targets);
  const { ledger, connectTimeout: connectTimeoutMs } = settings;
  const stop = shape.stop.signal;
  return {
    source,
    access: { main, direct, ledger, connectTimeoutMs },
    world: { clock: clockUntil(stop), log: shape.log, random: Math.random, stop, openReader },
  };
}

/** On Bun by its own sockets; elsewhere the general client reads too. */
const openReader: World["openReader"] = async (options) => {
  if (IS_BUN) return openSession(BUN_WIRE, options);
  return (await import("../db/connection.ts")).openConnection(options);
};

/** Whatever is written passes redaction. */
export function logFor(
  shape: Pick<Shape, "secrets">,
  settings: Pick<Settings, "logFormat" | "logLevel">,
): World["log"] {
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
