/** A table of settings, read from flags and the environment. Values never stand in an error. */
import type { HeadgateError } from "../core/error.ts";
import type { CommandName } from "./commands.ts";
import { parseEnvFile } from "./env-file.ts";
import { type Env, envValue } from "./libpq-env.ts";
import { PROBE_SETTINGS } from "./probe-settings.ts";
import type { Reader } from "./reader.ts";
import type { ReadFile } from "./service-file.ts";
import type { Setting, SettingName } from "./settings.ts";
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

/** Where the settings of a command come from, and what their texts become. */
export interface Table<T> {
  readonly settings: Readonly<Record<keyof T & SettingName, Setting>>;
  readonly readers: Readonly<Record<keyof T & SettingName, Reader<unknown>>>;
}

/**
 * The settings of a command; needs no database. Those that a command does not have keep their default.
 *
 * @throws {HeadgateError} `config-invalid`, every bad flag and variable in one message, by name
 */
export function readSettings<T>(
  { settings, readers }: Table<T>,
  input: ConfigInput,
): { readonly settings: T; readonly env: Env } {
  const env = withEnvFile(input);
  const errors: HeadgateError[] = [];
  const values: Partial<Record<SettingName, unknown>> = {};
  for (const name of Object.keys(settings) as (keyof T & SettingName)[]) {
    const setting = settings[name];
    const given = givenValue(name, setting, { ...input, env });
    values[name] = given
      ? attempt(() => readGiven(readers[name], given), errors)
      : readDefault(readers[name], setting, input.command);
  }
  throwIfAny(errors);
  return { settings: values as T, env };
}

interface Given {
  readonly text: string;
  /** The flag or the variable. */
  readonly source: string;
}

function givenValue(
  name: SettingName,
  setting: Setting,
  input: Pick<ConfigInput, "command" | "flags" | "env">,
): Given | undefined {
  return setting.commands.includes(input.command) ? rawValue(name, setting, input) : undefined;
}

function readDefault(reader: Reader<unknown>, setting: Setting, command: CommandName): unknown {
  const text = setting.defaults?.[command] ?? setting.default;
  return text === undefined ? undefined : reader.read(text);
}

function readGiven(reader: Reader<unknown>, { text, source }: Given): unknown {
  const value = reader.read(text);
  if (value !== undefined) return value;
  throw settingsError(`${source} ${reader.must}`);
}

function rawValue(
  name: SettingName,
  setting: Setting,
  { flags, env }: Pick<ConfigInput, "flags" | "env">,
): Given | undefined {
  const flag = flags[name];
  if (flag !== undefined) return { text: flag, source: `--${setting.flag}` };
  for (const variable of setting.variables) {
    const text = envValue(env, variable);
    if (text !== undefined) return { text, source: variable };
  }
  return undefined;
}

/** No `.env` is read unless it is named, and it never wins over a variable that is set. */
function withEnvFile(input: ConfigInput): Env {
  const { envFile } = PROBE_SETTINGS;
  const path = givenValue("envFile", envFile, input);
  if (path === undefined) return input.env;
  const text = input.readFile(path.text);
  if (text === undefined) throw settingsError(`${path.source} names a file that does not exist`);
  const set = Object.entries(input.env).filter(([name]) => envValue(input.env, name) !== undefined);
  return { ...parseEnvFile(text, path.source), ...Object.fromEntries(set) };
}
