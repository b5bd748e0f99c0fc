/** Which database, and which way to it: environment, flags and files in, targets out. */

import type { HeadgateError } from "../core/error.ts";
import type { Target } from "../core/target.ts";
import { type CommandName, WITH_DIRECT } from "./commands.ts";
import { parseDatabaseUrl } from "./database-url.ts";
import { type Env, namingVariables } from "./libpq-env.ts";
import type { ReadParameters } from "./parameters.ts";
import { type ResolveContext, type ResolvedTarget, resolveTarget } from "./resolve-target.ts";
import { readSecretFile, readSecretVariable, type SecretValue } from "./secret-variable.ts";
import type { ReadFile } from "./service-file.ts";
import type { Settings } from "./settings.ts";
import { attempt, settingsError, throwIfAny } from "./settings-error.ts";

/** Strongest first; each has a `_FILE` form. */
const MAIN_VARIABLES = ["HEADGATE_DATABASE_URL", "DATABASE_URL"];
const DIRECT_VARIABLES = ["HEADGATE_MIGRATION_DATABASE_URL", "MIGRATION_DATABASE_URL"];
/** Platforms set these for other tools as well, hence only on demand. */
const AUTO_DIRECT_VARIABLES = ["DIRECT_URL", "DATABASE_URL_UNPOOLED"];

const NO_DATABASE_HINT =
  "Set HEADGATE_DATABASE_URL or DATABASE_URL (or one of them with _FILE, or --database-url-file), or PGHOST, PGDATABASE, PGUSER or PGSERVICE";

/** The flags that say which database and which way to it. */
export interface ConnectionFlags {
  /** `--database-url-file`: wins over every variable. */
  readonly databaseUrlFile?: string | undefined;
  /** `--direct auto`: DIRECT_URL and DATABASE_URL_UNPOOLED count as well. */
  readonly direct?: "auto" | undefined;
  /** False: the command never passes the gate, and a wrong direct address is not its business. */
  readonly needsDirect?: boolean;
  readonly allowCleartext?: boolean | undefined;
}

/** What targets are read from. */
export interface ConnectionInput {
  readonly env: Env;
  readonly readFile: ReadFile;
  readonly flags: ConnectionFlags;
}

/** Where commands connect to. */
export interface Targets {
  /** For probe, fast path and seed; may lie behind a pooler. */
  readonly main: Target;
  /** For gate and DDL; undefined: `main` serves for them too. */
  readonly direct: Target | undefined;
  /** Names of parameters without effect here, each once: worth one warning. */
  readonly ignored: readonly string[];
}

/**
 * Resolves the main target and, if one is named, the direct one. The strongest source that is set wins
 * as a whole; single parameters that it leaves open come from service file and environment, as in libpq.
 *
 * @throws {HeadgateError} config-invalid, with the problems of both targets in one message
 */
export function loadTargets(input: ConnectionInput): Targets {
  const errors: HeadgateError[] = [];
  const main = attempt(() => loadMain(input), errors);
  const needsDirect = input.flags.needsDirect !== false;
  const direct = needsDirect ? attempt(() => loadDirect(input), errors) : undefined;
  throwIfAny(errors);
  if (main === undefined) throw settingsError("no database is named", NO_DATABASE_HINT);
  const ignored = [...main.ignored, ...(direct?.ignored ?? [])];
  const once = ignored.filter((name, index) => ignored.indexOf(name) === index);
  return { main: main.target, direct: direct?.target, ignored: once };
}

/** As `loadTargets`, for a command as it was asked for. @throws {HeadgateError} `config-invalid` */
export function loadConnection(
  command: CommandName,
  settings: Pick<Settings, "databaseUrlFile" | "allowCleartext"> &
    Partial<Pick<Settings, "direct">>,
  env: Env,
  readFile: ReadFile,
): Targets {
  const { databaseUrlFile, allowCleartext } = settings;
  const direct = settings.direct === "auto" ? "auto" : undefined;
  const needsDirect = WITH_DIRECT.includes(command);
  return loadTargets({
    env,
    readFile,
    flags: { databaseUrlFile, direct, needsDirect, allowCleartext },
  });
}

function loadMain(input: ConnectionInput): ResolvedTarget {
  const { env, flags, readFile } = input;
  const url =
    flags.databaseUrlFile === undefined
      ? firstVariable(MAIN_VARIABLES, input)
      : readSecretFile(flags.databaseUrlFile, "--database-url-file", readFile);
  if (url !== undefined) return resolveUrl(url, input);
  const source = namingVariables(env);
  if (source === undefined) throw settingsError("no database is named", NO_DATABASE_HINT);
  return resolve({ settings: {}, ignored: [] }, source, input);
}

function loadDirect(input: ConnectionInput): ResolvedTarget | undefined {
  const names =
    input.flags.direct === "auto"
      ? [...DIRECT_VARIABLES, ...AUTO_DIRECT_VARIABLES]
      : DIRECT_VARIABLES;
  const url = firstVariable(names, input);
  return url === undefined ? undefined : resolveUrl(url, input);
}

function firstVariable(names: readonly string[], input: ConnectionInput): SecretValue | undefined {
  for (const name of names) {
    const found = readSecretVariable(name, input.env, input.readFile);
    if (found !== undefined) return found;
  }
  return undefined;
}

function resolveUrl(url: SecretValue, input: ConnectionInput): ResolvedTarget {
  return resolve(parseDatabaseUrl(url.value, url.source), url.source, input);
}

function resolve(explicit: ReadParameters, source: string, input: ConnectionInput): ResolvedTarget {
  const { env, readFile, flags } = input;
  const allowCleartext = flags.allowCleartext === true;
  const context: ResolveContext = { env, readFile, allowCleartext, source };
  return resolveTarget(explicit, context);
}
