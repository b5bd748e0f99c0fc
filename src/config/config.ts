/** Every setting of a command. */
import type { Env } from "./libpq-env.ts";
import { type ConfigInput, readSettings } from "./read-settings.ts";
import { READERS } from "./setting-values.ts";
import { SETTINGS, type Settings } from "./settings.ts";

/** As `readSettings`, from the whole table. @throws {HeadgateError} `config-invalid` */
export function loadSettings(input: ConfigInput): {
  readonly settings: Settings;
  readonly env: Env;
} {
  return readSettings<Settings>({ settings: SETTINGS, readers: READERS }, input);
}
