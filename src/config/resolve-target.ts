/** From parameters by libpq's names to a Target: service, environment, password file, defaults. */

import { DIGITS, isMadeOf } from "../core/ascii.ts";
import type { HeadgateError } from "../core/error.ts";
import type { NonEmpty } from "../core/migration.ts";
import type { HostPort, Target } from "../core/target.ts";
import { type Env, envValue, readLibpqEnv } from "./libpq-env.ts";
import type { Parameter, ReadParameters, Setting, Settings } from "./parameters.ts";
import { findPassword } from "./pgpass.ts";
import { readSecretVariable } from "./secret-variable.ts";
import { loadService, type ReadFile } from "./service-file.ts";
import { attempt, settingsError, throwIfAny } from "./settings-error.ts";
import { parseStartupOptions } from "./startup-options.ts";
import { readTls } from "./tls-settings.ts";

const DEFAULT_HOST = "localhost";
const DEFAULT_PORT = 5432;
/** Above it a timer's 32 bits overflow, and it fires at once. */
const MAX_TIMEOUT_S = 2_147_483;

const SESSION_ATTRS: readonly string[] = [
  "any",
  "read-write",
  "read-only",
  "primary",
  "standby",
  "prefer-standby",
];

/** What a target is completed from. */
export interface ResolveContext {
  readonly env: Env;
  readonly readFile: ReadFile;
  readonly allowCleartext: boolean;
  readonly source: string;
}

/** A target, and what of its source had no effect. */
export interface ResolvedTarget {
  readonly target: Target;
  readonly ignored: readonly string[];
}

/**
 * Completes explicit parameters as libpq does, each for itself: explicit, else service, else environment,
 * else default. The default host is `localhost`: which socket directory exists is not known here.
 *
 * @throws {HeadgateError} config-invalid, with every problem in one message
 */
export function resolveTarget(explicit: ReadParameters, context: ResolveContext): ResolvedTarget {
  const fromEnv = readLibpqEnv(context.env);
  const named: Settings = { ...fromEnv.settings, ...explicit.settings };
  const fromService = loadService(named, context.env, context.readFile);
  const settings: Settings = { ...fromEnv.settings, ...fromService.settings, ...explicit.settings };
  const options = parseStartupOptions(settings.options?.value ?? "");
  return {
    target: toTarget(settings, options.searchPath, context),
    ignored: [
      ...explicit.ignored,
      ...fromService.ignored,
      ...fromEnv.ignored,
      ...options.ignored,
      ...(choosesServer(settings) ? ["target_session_attrs"] : []),
    ],
  };
}

function toTarget(
  settings: Settings,
  searchPath: string | undefined,
  context: ResolveContext,
): Target {
  const errors: HeadgateError[] = [];
  attempt(() => refuseNul(settings), errors);
  const hosts = attempt(() => readHosts(settings), errors) ?? [
    { host: DEFAULT_HOST, port: DEFAULT_PORT },
  ];
  const { env, readFile } = context;
  const tls = attempt(() => readTls(settings, hosts, env, readFile), errors);
  const connectTimeoutMs = attempt(() => readTimeoutMs(settings.connect_timeout), errors);
  attempt(() => checkSessionAttrs(settings.target_session_attrs), errors);
  const user = settings.user?.value ?? osUser(env);
  const database = settings.dbname?.value ?? user;
  const password = attempt(
    () => readPassword(settings, { hosts, user, database }, context),
    errors,
  );
  throwIfAny(errors);
  return {
    hosts,
    user,
    password,
    database,
    sslMode: tls?.sslMode ?? "prefer",
    sslRootCert: tls?.sslRootCert,
    sslCert: tls?.sslCert,
    sslKey: tls?.sslKey,
    connectTimeoutMs,
    applicationName: settings.application_name?.value,
    searchPath: settings.search_path?.value ?? searchPath,
    allowCleartext: context.allowCleartext,
    source: context.source,
  };
}

/** A NUL would end a string of the startup message early and begin another parameter. */
function refuseNul(settings: Settings): void {
  for (const name of Object.keys(settings) as readonly Parameter[]) {
    const { value = "", origin } = settings[name] ?? {};
    if (value.includes("\0")) throw settingsError(`${origin} holds a NUL character`);
  }
}

/** The lists of hosts and ports are parallel; one port serves all hosts, an empty item is the default. */
function readHosts(settings: Settings): NonEmpty<HostPort> {
  const [firstHost = "", ...hosts] = settings.host?.value.split(",") ?? [];
  const ports = settings.port?.value.split(",") ?? [""];
  const origin = settings.port?.origin ?? "port";
  if (ports.length !== 1 && ports.length !== hosts.length + 1) {
    throw settingsError(`${origin} names ${ports.length} ports for ${hosts.length + 1} hosts`);
  }
  const toHostPort = (host: string, index: number): HostPort => ({
    host: host === "" ? DEFAULT_HOST : host,
    port: readPort(ports[ports.length === 1 ? 0 : index] ?? "", origin),
  });
  return [toHostPort(firstHost, 0), ...hosts.map((host, index) => toHostPort(host, index + 1))];
}

function readPort(text: string, origin: string): number {
  if (text === "") return DEFAULT_PORT;
  const digits = text.trim();
  const port = digits.length <= 5 && isMadeOf(digits, "", DIGITS) ? Number(digits) : 0;
  if (port < 1 || port > 65_535) throw settingsError(`${origin} is not a port from 1 to 65535`);
  return port;
}

/** Zero and less mean "no bound" to libpq, which here is the same as not given. */
function readTimeoutMs(setting: Setting | undefined): number | undefined {
  if (setting === undefined) return undefined;
  const seconds = /^\s*[+-]?\d+\s*$/.test(setting.value) ? Number(setting.value) : Number.NaN;
  if (Number.isNaN(seconds) || seconds > MAX_TIMEOUT_S) {
    throw settingsError(
      `${setting.origin} is not a whole number of seconds up to ${MAX_TIMEOUT_S}`,
    );
  }
  return seconds <= 0 ? undefined : seconds * 1000;
}

/** The first host that answers is taken, whatever kind of server it is. */
function choosesServer({ target_session_attrs: attrs }: Settings): boolean {
  return attrs !== undefined && attrs.value !== "any";
}

function checkSessionAttrs(setting: Setting | undefined): void {
  if (setting === undefined || SESSION_ATTRS.includes(setting.value)) return;
  throw settingsError(`${setting.origin} is not one of ${SESSION_ATTRS.join(", ")}`);
}

function osUser(env: Env): string {
  return envValue(env, "USER") ?? envValue(env, "LOGNAME") ?? "postgres";
}

/** Explicit, else PGPASSWORD or its file, else the password file, by the first host that it knows. */
function readPassword(
  settings: Settings,
  place: Pick<Target, "hosts" | "user" | "database">,
  context: ResolveContext,
): string | undefined {
  if (settings.password !== undefined) return settings.password.value;
  const { env, readFile } = context;
  const variable = readSecretVariable("PGPASSWORD", env, readFile);
  if (variable !== undefined) return variable.value;
  const home = envValue(env, "HOME");
  const path = settings.passfile?.value ?? (home === undefined ? undefined : `${home}/.pgpass`);
  const text = path === undefined ? undefined : readFile(path);
  if (text === undefined) return undefined;
  const { user, database } = place;
  for (const { host, port } of place.hosts) {
    const password = findPassword(text, { host, port, database, user });
    if (password !== undefined) return password;
  }
  return undefined;
}
