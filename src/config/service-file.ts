/** libpq's connection service file: an ini file of parameters by service. */

import { type Env, envValue } from "./libpq-env.ts";
import { type ReadParameters, type Settings, sortParameters } from "./parameters.ts";
import { settingsError } from "./settings-error.ts";

/** The text of a file, undefined when there is none. May throw a HeadgateError when it is unreadable. */
export type ReadFile = (path: string) => string | undefined;

const NOTHING: ReadParameters = { settings: {}, ignored: [] };

/**
 * Reads the service that `settings.service` names, if any: from `servicefile` alone when that is given,
 * else from `~/.pg_service.conf`, else from `pg_service.conf` in PGSYSCONFDIR.
 *
 * @throws {HeadgateError} config-invalid when the service or a named file is missing, or a line is malformed
 */
export function loadService(settings: Settings, env: Env, readFile: ReadFile): ReadParameters {
  const { service, servicefile } = settings;
  if (service === undefined) return NOTHING;
  const origin = `the service of ${service.origin}`;
  if (servicefile !== undefined) {
    const text = readFile(servicefile.value);
    if (text === undefined) {
      throw settingsError(`${servicefile.origin} names a file that does not exist`);
    }
    return findService(text, service.value, origin) ?? missing(service.origin);
  }
  for (const path of defaultPaths(env)) {
    const found = findService(readFile(path) ?? "", service.value, origin);
    if (found !== undefined) return found;
  }
  return missing(service.origin);
}

/**
 * Finds one section of a service file; undefined when it is not there. A line is trimmed, then is empty,
 * a comment (`#`), a section (`[name]`) or `name=value`; blanks around `=` belong to name and value.
 *
 * @param origin how errors name the section
 * @throws {HeadgateError} config-invalid when a line of the section is none of these, or names a service
 */
export function findService(
  text: string,
  service: string,
  origin: string,
): ReadParameters | undefined {
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  const start = lines.indexOf(`[${service}]`);
  if (start === -1) return undefined;
  const length = lines.slice(start + 1).findIndex((line) => line.startsWith("["));
  const section = lines.slice(start + 1, length === -1 ? undefined : start + 1 + length);
  const pairs = section
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => toPair(line, origin))
    .reverse(); // in this file the first of two equal names wins
  return sortParameters(pairs, (name) => `${name} in ${origin}`);
}

function defaultPaths(env: Env): readonly string[] {
  const [home, system] = [envValue(env, "HOME"), envValue(env, "PGSYSCONFDIR")];
  return [
    ...(home === undefined ? [] : [`${home}/.pg_service.conf`]),
    ...(system === undefined ? [] : [`${system}/pg_service.conf`]),
  ];
}

function missing(origin: string): never {
  throw settingsError(
    `${origin} names a service that no service file defines`,
    "Service files are PGSERVICEFILE, else ~/.pg_service.conf and pg_service.conf in PGSYSCONFDIR",
  );
}

function toPair(line: string, origin: string): readonly [string, string] {
  const [, name, value = ""] = /^([A-Za-z_][\w.-]*)=(.*)$/.exec(line) ?? [];
  if (name === undefined) throw settingsError(`${origin} has a line that is not name=value`);
  if (name === "service" || name === "servicefile") {
    throw settingsError(`${origin} names another service`);
  }
  return [name, value];
}
