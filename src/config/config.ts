/** argv's flags, the environment and files in; one typed Config out. Values never stand in an error. */
import * as v from "valibot";
import type { HeadgateError } from "../core/error.ts";
import type { CommandName } from "./commands.ts";
import { loadTargets, type Targets } from "./connection-settings.ts";
import { parseEnvFile } from "./env-file.ts";
import { type Env, envValue } from "./libpq-env.ts";
import type { ReadFile } from "./service-file.ts";
import { SCHEMAS } from "./setting-values.ts";
import { SETTINGS, type Setting, type SettingName, type Settings } from "./settings.ts";
import { attempt, settingsError, throwIfAny } from "./settings-error.ts";

/** Flags as they were given; a switch is "true". */
export type Flags = Readonly<Partial<Record<SettingName, string>>>;

/** What settings are read from. */
export interface ConfigInput {
  readonly command: CommandName;
  readonly flags: Flags;
  readonly env: Env;
  readonly readFile: ReadFile;
}

/**
 * The settings of a command; needs no database. Those that a command does not have keep their default.
 *
 * @throws {HeadgateError} `config-invalid`, every bad flag and variable in one message, by name
 */
export function loadSettings(input: ConfigInput): {
  readonly settings: Settings;
  readonly env: Env;
} {
  const env = withEnvFile(input);
  const errors: HeadgateError[] = [];
  const settings = {};
  for (const name of Object.keys(SETTINGS) as readonly SettingName[]) {
    const given = givenValue(name, { ...input, env });
    const value = given && attempt(() => parseValue(name, given), errors);
    // Most keep their default, and most commands ask for few of them: read when asked for.
    const get = given
      ? () => value
      : () => v.parse(SCHEMAS[name], defaultOf(SETTINGS[name], input.command));
    Object.defineProperty(settings, name, { get, enumerable: true });
  }
  throwIfAny(errors);
  return { settings: settings as Settings, env };
}

/**
 * Where the database is.
 *
 * @throws {HeadgateError} `config-invalid`
 */
export function loadConnection(
  command: CommandName,
  settings: Settings,
  env: Env,
  readFile: ReadFile,
): Targets {
  return loadTargets({
    env,
    readFile,
    flags: {
      databaseUrlFile: settings.databaseUrlFile,
      direct: settings.direct === "auto" ? "auto" : undefined,
      needsDirect: SETTINGS.direct.commands.includes(command),
      allowCleartext: settings.allowCleartext,
    },
  });
}

function defaultOf(setting: Setting, command: CommandName): string | undefined {
  return setting.defaults?.[command] ?? setting.default;
}

interface Given {
  readonly text: string;
  /** The flag or the variable. */
  readonly source: string;
}

function givenValue(name: SettingName, input: ConfigInput): Given | undefined {
  const setting: Setting = SETTINGS[name];
  return setting.commands.includes(input.command) ? rawValue(name, setting, input) : undefined;
}

function parseValue(name: SettingName, { text, source }: Given): unknown {
  const parsed = v.safeParse(SCHEMAS[name], text);
  if (parsed.success) return parsed.output;
  throw settingsError(`${source} ${parsed.issues[0].message}`);
}

function rawValue(name: SettingName, setting: Setting, input: ConfigInput): Given | undefined {
  const flag = input.flags[name];
  if (flag !== undefined) return { text: flag, source: `--${setting.flag}` };
  for (const variable of setting.variables) {
    const text = envValue(input.env, variable);
    if (text !== undefined) return { text, source: variable };
  }
  return undefined;
}

/** No `.env` is read unless it is named, and it never wins over a variable that is set. */
function withEnvFile(input: ConfigInput): Env {
  const { envFile } = SETTINGS;
  const isOurs = envFile.commands.includes(input.command);
  const path = isOurs ? rawValue("envFile", envFile, input) : undefined;
  if (path === undefined) return input.env;
  const text = input.readFile(path.text);
  if (text === undefined) throw settingsError(`${path.source} names a file that does not exist`);
  const set = Object.entries(input.env).filter(([name]) => envValue(input.env, name) !== undefined);
  return { ...parseEnvFile(text, path.source), ...Object.fromEntries(set) };
}
