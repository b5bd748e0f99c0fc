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
  const names = Object.keys(SETTINGS) as readonly SettingName[];
  const entries = names.map((name) => [
    name,
    attempt(() => loadSetting(name, { ...input, env }), errors),
  ]);
  throwIfAny(errors);
  return { settings: Object.fromEntries(entries) as Settings, env };
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

function loadSetting(name: SettingName, input: ConfigInput): unknown {
  const setting: Setting = SETTINGS[name];
  const isOurs = setting.commands.includes(input.command);
  const given = isOurs ? rawValue(name, setting, input) : undefined;
  const fallback = setting.defaults?.[input.command] ?? setting.default;
  const parsed = v.safeParse(SCHEMAS[name], given?.text ?? fallback);
  if (parsed.success) return parsed.output;
  throw settingsError(`${given?.source ?? `--${setting.flag}`} ${parsed.issues[0].message}`);
}

function rawValue(
  name: SettingName,
  setting: Setting,
  input: ConfigInput,
): { readonly text: string; readonly source: string } | undefined {
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
