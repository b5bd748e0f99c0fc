/** The environment variables of libpq. */

import type { Parameter, ReadParameters, Setting } from "./parameters.ts";

/** What a process was given; an empty value counts as missing, as compose files leave it behind. */
export type Env = Readonly<Record<string, string | undefined>>;

/** `PGPASSWORD` is absent on purpose: it is looked up last, together with `PGPASSWORD_FILE`. */
const VARIABLES: Readonly<Record<string, Parameter>> = {
  PGHOST: "host",
  PGPORT: "port",
  PGUSER: "user",
  PGDATABASE: "dbname",
  PGSSLMODE: "sslmode",
  PGSSLROOTCERT: "sslrootcert",
  PGSSLCERT: "sslcert",
  PGSSLKEY: "sslkey",
  PGAPPNAME: "application_name",
  PGCONNECT_TIMEOUT: "connect_timeout",
  PGOPTIONS: "options",
  PGTARGETSESSIONATTRS: "target_session_attrs",
  PGPASSFILE: "passfile",
  PGSERVICE: "service",
  PGSERVICEFILE: "servicefile",
};

/** They name an address or demand a protection that is not provided: worth a warning. */
const UNHEEDED = ["PGHOSTADDR", "PGSSLCRL", "PGSSLCRLDIR", "PGREQUIREAUTH", "PGREQUIREPEER"];

/** One of them must be there for libpq's variables to name a database. */
const NAMING = ["PGSERVICE", "PGHOST", "PGDATABASE", "PGUSER"];

/** A variable's value, or undefined when it is missing or empty. */
export function envValue(env: Env, name: string): string | undefined {
  const value = env[name];
  return value === "" ? undefined : value;
}

/** The set variables that name a database, `PGHOST, PGUSER`; undefined when there is none. */
export function namingVariables(env: Env): string | undefined {
  const names = NAMING.filter((name) => envValue(env, name) !== undefined);
  return names.length === 0 ? undefined : names.join(", ");
}

/** Reads them as libpq does: the lowest source, above the built-in defaults only. */
export function readLibpqEnv(env: Env): ReadParameters {
  const settings: Partial<Record<Parameter, Setting>> = {};
  for (const name of Object.keys(VARIABLES)) {
    const [value, parameter] = [envValue(env, name), VARIABLES[name]];
    if (value !== undefined && parameter) settings[parameter] = { value, origin: name };
  }
  return { settings, ignored: UNHEEDED.filter((name) => envValue(env, name) !== undefined) };
}
