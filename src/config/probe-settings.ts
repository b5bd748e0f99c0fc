/**
 * The settings that a probe has, and what their texts become; a part of `SETTINGS` and `READERS`. They
 * stand apart because every pod asks again every few seconds, and shall load nothing but these.
 */
import { parseDurationMs } from "../core/duration.ts";
import { parseLedgerName } from "../core/identifier.ts";
import { ALL, ASKING, LEDGERED, OF_SEEDS } from "./commands.ts";
import { choice, type Readers, reader, toBoolean, toPath } from "./reader.ts";
import type { Setting, Settings } from "./settings.ts";

/** Their names. */
export type ProbeFlag =
  | "dir"
  | "ledger"
  | "databaseUrlFile"
  | "connectTimeout"
  | "allowCleartext"
  | "policy"
  | "expectBundle"
  | "timeout"
  | "seed"
  | "seeds"
  | "roles"
  | "requireSeeds"
  | "json"
  | "logFormat"
  | "logLevel"
  | "envFile";

/** Their values. */
export type ProbeSettings = Pick<Settings, ProbeFlag>;

/** In the order of the help. */
export const PROBE_SETTINGS: Readonly<Record<ProbeFlag, Setting>> = {
  dir: {
    flag: "dir",
    argument: "<folder>",
    variables: ["HEADGATE_DIR"],
    commands: [...LEDGERED, "manifest", "version"],
    help: "Migrations of this folder instead of the embedded ones",
  },
  ledger: {
    flag: "ledger",
    argument: "<name>",
    variables: ["HEADGATE_LEDGER"],
    default: "headgate_migrations",
    commands: [...LEDGERED, "manifest"],
    help: "Ledger table, schema.table or table",
  },
  databaseUrlFile: {
    flag: "database-url-file",
    argument: "<file>",
    variables: [],
    commands: ASKING,
    help: "File that holds the database URL; wins over every variable",
  },
  connectTimeout: {
    flag: "connect-timeout",
    argument: "<duration>",
    variables: ["HEADGATE_CONNECT_TIMEOUT"],
    commands: ASKING,
    help: "For each step: TCP, TLS, login; wins over the URL (5s)",
  },
  allowCleartext: {
    flag: "allow-cleartext",
    variables: ["HEADGATE_ALLOW_CLEARTEXT"],
    default: "false",
    commands: ASKING,
    help: "Send a cleartext password without TLS when the server asks for one",
  },
  policy: {
    flag: "policy",
    argument: "<policy>",
    variables: ["HEADGATE_POLICY"],
    default: "at-least",
    commands: ["up", "probe", "wait", "status", "plan"],
    help: "at-least: a newer schema is ready unless breaking; exact: it is not",
  },
  expectBundle: {
    flag: "expect-bundle",
    argument: "<fingerprint>",
    variables: ["HEADGATE_EXPECT_BUNDLE"],
    commands: ["up", "probe", "wait"],
    help: "Refuse to run with another bundle (8 digits or more)",
  },
  timeout: {
    flag: "timeout",
    argument: "<duration>",
    variables: ["HEADGATE_TIMEOUT"],
    default: "900ms",
    commands: ["probe", "manifest"],
    help: "Total budget: start, look-up, connect, TLS, authentication, query",
  },
  seed: {
    flag: "seed",
    argument: "<mode>",
    variables: ["HEADGATE_SEED"],
    default: "auto",
    commands: ["up", "plan", "probe", "wait", "status"],
    help: "auto: where the gateway's tables are; rbac: they must be; none",
  },
  seeds: {
    flag: "seeds",
    argument: "<folder>",
    variables: ["HEADGATE_SEEDS"],
    commands: [...OF_SEEDS, "bundle"],
    help: "Idempotent .sql files to run whenever one has changed",
  },
  roles: {
    flag: "roles",
    argument: "<file>",
    variables: ["HEADGATE_ROLES"],
    commands: OF_SEEDS,
    help: "JSON file of additional roles",
  },
  requireSeeds: {
    flag: "require-seeds",
    variables: ["HEADGATE_REQUIRE_SEEDS"],
    default: "false",
    commands: ["probe", "wait", "status"],
    help: "Ready only when the seeds of this version are recorded too",
  },
  json: {
    flag: "json",
    variables: ["HEADGATE_JSON"],
    default: "false",
    commands: ALL,
    help: "One JSON object on stdout",
  },
  logFormat: {
    flag: "log-format",
    argument: "<format>",
    variables: ["HEADGATE_LOG_FORMAT"],
    default: "auto",
    commands: ASKING,
    help: "json, text, or auto: text on a terminal, else json",
  },
  logLevel: {
    flag: "log-level",
    argument: "<level>",
    variables: ["HEADGATE_LOG_LEVEL"],
    default: "info",
    commands: ASKING,
    help: "debug, info, warn or error",
  },
  envFile: {
    flag: "env-file",
    argument: "<file>",
    variables: ["HEADGATE_ENV_FILE"],
    commands: ASKING,
    help: "KEY=value lines to add to the environment, which wins",
  },
};

/** For whole durations above 0. */
export const toPositiveMs: Readers<Settings>["timeout"] = reader(
  (text) => parseDurationMs(text) || undefined,
  "must be a duration above 0, such as 500ms or 3s",
);

/** Text in, value out. */
export const PROBE_READERS: Readers<ProbeSettings> = {
  dir: toPath,
  ledger: reader(parseLedgerName, "must be a table name, with or without its schema"),
  databaseUrlFile: toPath,
  connectTimeout: toPositiveMs,
  allowCleartext: toBoolean,
  policy: choice("at-least", "exact"),
  expectBundle: reader(toFingerprint, "must be 8 to 64 hexadecimal digits, as version shows them"),
  timeout: toPositiveMs,
  seed: choice("auto", "rbac", "none"),
  seeds: toPath,
  roles: toPath,
  requireSeeds: toBoolean,
  json: toBoolean,
  logFormat: choice("auto", "json", "text"),
  logLevel: choice("debug", "info", "warn", "error"),
  envFile: toPath,
};

function toFingerprint(text: string): string | undefined {
  return /^[0-9a-f]{8,64}$/.test(text) ? text : undefined;
}
