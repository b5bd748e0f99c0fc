/** Variables that may stand in a file instead: `X`, or `X_FILE` with a path (a mounted secret). */

import { type Env, envValue } from "./libpq-env.ts";
import type { ReadFile } from "./service-file.ts";
import { settingsError } from "./settings-error.ts";

/** A secret and where it came from. */
export interface SecretValue {
  readonly value: string;
  /** The variable or flag that gave it: `DATABASE_URL`, `DATABASE_URL_FILE`. */
  readonly source: string;
}

/**
 * Reads `name` or `<name>_FILE`; undefined when neither is set.
 *
 * @throws {HeadgateError} config-invalid when both are set, or the file is missing or empty
 */
export function readSecretVariable(
  name: string,
  env: Env,
  readFile: ReadFile,
): SecretValue | undefined {
  const [value, path] = [envValue(env, name), envValue(env, `${name}_FILE`)];
  if (value !== undefined && path !== undefined) {
    throw settingsError(`${name} and ${name}_FILE are both set`, "Unset one of them");
  }
  if (path !== undefined) return readSecretFile(path, `${name}_FILE`, readFile);
  return value === undefined ? undefined : { value, source: name };
}

/**
 * Reads a secret out of a file, without the one line end that editors and `echo` leave behind. The path
 * is not shown in errors: people put the secret itself there.
 *
 * @throws {HeadgateError} config-invalid when the file is missing or empty
 */
export function readSecretFile(path: string, source: string, readFile: ReadFile): SecretValue {
  const text = readFile(path);
  if (text === undefined) throw settingsError(`${source} names a file that does not exist`);
  const value = text.replace(/\r?\n$/, "");
  if (value === "") throw settingsError(`${source} names an empty file`);
  return { value, source };
}
