/** What each setting's text must be, and becomes. */
import * as v from "valibot";
import { parseScratch } from "../core/drill-scratch.ts";
import { parseDurationMs } from "../core/duration.ts";
import { parseLedgerName } from "../core/identifier.ts";
import type { SettingName, Settings } from "./settings.ts";

const TRUE: ReadonlySet<string> = new Set(["true", "1", "yes", "on"]);
const FALSE: ReadonlySet<string> = new Set(["false", "0", "no", "off"]);
const INT8_LIMIT: bigint = 2n ** 63n;

/** A schema that takes a text, or nothing, and gives a `T`. */
export type TextSchema<T> = v.GenericSchema<unknown, T>;

/** A schema of a parser that answers undefined for "no"; `must` says what the value has to be. */
export function parsed<T>(parse: (text: string) => T | undefined, must: string): TextSchema<T> {
  return v.pipe(
    v.string(must),
    v.transform((text: string) => parse(text.trim())),
    v.custom<T>((value) => value !== undefined, must),
  );
}

/** A schema of some words, in any case. */
export function choice<const T extends string>(...words: readonly T[]): TextSchema<T> {
  const must = `must be ${words.join(", ").replace(/, ([^,]*)$/, " or $1")}`;
  return parsed((text) => words.find((word) => word === text.toLowerCase()), must);
}

/** true, 1, yes, on; false, 0, no, off; in any case. */
export const toBoolean: TextSchema<boolean> = parsed((text) => {
  const word = text.toLowerCase();
  if (TRUE.has(word)) return true;
  return FALSE.has(word) ? false : undefined;
}, "must be true or false");

const toDurationMs: TextSchema<number> = parsed(
  parseDurationMs,
  "must be a duration such as 500ms, 3s or 15m",
);

const toPositiveMs: TextSchema<number> = parsed(
  (text) => parseDurationMs(text) || undefined,
  "must be a duration above 0, such as 500ms or 3s",
);

const toPath: TextSchema<string | undefined> = v.optional(
  parsed((text) => text || undefined, "must name a file or folder"),
);

/** Kubernetes counts in seconds. */
const toSeconds: TextSchema<number> = parsed((text) => {
  const ms = parseDurationMs(text) ?? 0;
  return ms > 0 && ms % 1000 === 0 ? ms : undefined;
}, "must be whole seconds above 0, such as 5s or 10m");

const toKey: TextSchema<string> = parsed(
  (text) => (/^[-._a-zA-Z0-9]{1,253}$/.test(text) ? text : undefined),
  "must be a key of a Secret",
);

const toImage: TextSchema<string | undefined> = v.optional(
  parsed(
    (text) => (/^[\w][\w./:@-]*$/.test(text) ? text : undefined),
    "must be an image reference",
  ),
);

/** Text in, value out. An issue says what the text must be and never shows it. */
export const SCHEMAS: { readonly [Name in SettingName]: TextSchema<Settings[Name]> } = {
  dir: toPath,
  ledger: parsed(parseLedgerName, "must be a table name, with or without its schema"),
  databaseUrlFile: toPath,
  direct: choice("auto", "off"),
  connectTimeout: v.optional(toPositiveMs),
  allowCleartext: toBoolean,
  policy: choice("at-least", "exact"),
  expectBundle: v.optional(
    parsed(toFingerprint, "must be 8 to 64 hexadecimal digits, as version shows them"),
  ),
  timeout: toPositiveMs,
  lockWait: toDurationMs,
  lockTimeout: toDurationMs,
  deadline: toDurationMs,
  stay: toBoolean,
  lockId: v.optional(parsed(toInt8, "must be a 64-bit integer")),
  reclaimOrphans: v.optional(toPositiveMs),
  atomic: toBoolean,
  cancelOrphanedBuild: toBoolean,
  to: v.optional(parsed(toVersion, "must be a version number")),
  skipMigrations: parsed(toSkipMode, "must be true, false, verify or yield"),
  seed: choice("auto", "rbac", "none"),
  seeds: toPath,
  migrations: toPath,
  output: toPath,
  roles: toPath,
  requireSeeds: toBoolean,
  seedFailure: choice("fail", "warn"),
  generatedPasswordFile: toPath,
  allowWeakPassword: toBoolean,
  requirePasswordChange: v.optional(toBoolean),
  enableAdmin: toBoolean,
  assignOrphans: toBoolean,
  takeOwned: toBoolean,
  withoutConstraints: toBoolean,
  noLedger: toBoolean,
  exitCode: toBoolean,
  applied: toBoolean,
  rolledBack: toBoolean,
  yes: toBoolean,
  force: toBoolean,
  sample: toPositiveMs,
  owner: choice("job", "init", "app"),
  deliver: choice("install", "copy", "sidecar"),
  job: choice("plain", "helm", "argo"),
  name: parsed(toName, "must be a DNS label of at most 36 characters"),
  image: toImage,
  appImage: toImage,
  secret: v.optional(parsed(toSecretName, "must be the name of a Secret")),
  urlKey: toKey,
  directUrlKey: toKey,
  pods: parsed(toCount(1), "must be a whole number from 1 to 1000"),
  jobDeadline: toSeconds,
  probeTimeout: toSeconds,
  probePeriod: toSeconds,
  probeFailures: parsed(toCount(1), "must be a whole number from 1 to 1000"),
  out: toPath,
  replicas: parsed(toCount(2), "must be a whole number from 2 to 1000"),
  kill: parsed(toCount(0), "must be a whole number from 0 to 1000"),
  drillSchema: choice("new", "existing"),
  contrast: toBoolean,
  runner: v.optional(parsed(parseScratch, "must be the ledger of a drill")),
  json: toBoolean,
  logFormat: choice("auto", "json", "text"),
  logLevel: choice("debug", "info", "warn", "error"),
  terminationLog: toPath,
  envFile: toPath,
};

function toInt8(text: string): bigint | undefined {
  if (!/^-?\d{1,19}$/.test(text)) return undefined;
  const value = BigInt(text);
  return value >= -INT8_LIMIT && value < INT8_LIMIT ? value : undefined;
}

function toVersion(text: string): number | undefined {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(value) ? value : undefined;
}

/** More processes than that are no drill. */
const COUNT_MAX = 1000;

function toCount(least: number): (text: string) => number | undefined {
  return (text) => {
    const value = toVersion(text);
    return value !== undefined && value >= least && value <= COUNT_MAX ? value : undefined;
  };
}

function toSkipMode(text: string): Settings["skipMigrations"] | undefined {
  const word = text.toLowerCase();
  if (word === "yield") return "yield";
  if (word === "verify" || TRUE.has(word)) return "verify";
  return FALSE.has(word) ? "off" : undefined;
}

/** The name of a Job has 27 characters more, and 63 at most. */
function toName(text: string): string | undefined {
  return /^[a-z]([-a-z0-9]{0,34}[a-z0-9])?$/.test(text) ? text : undefined;
}

function toSecretName(text: string): string | undefined {
  return /^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$/.test(text) ? text : undefined;
}

function toFingerprint(text: string): string | undefined {
  return /^[0-9a-f]{8,64}$/.test(text) ? text : undefined;
}
