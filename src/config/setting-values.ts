/** What each setting's text must be, and becomes. */
import { parseScratch } from "../core/drill-scratch.ts";
import { parseDurationMs } from "../core/duration.ts";
import { PROBE_READERS, toPositiveMs } from "./probe-settings.ts";
import {
  choice,
  FALSE,
  type Reader,
  type Readers,
  reader,
  TRUE,
  toBoolean,
  toPath,
} from "./reader.ts";
import type { Settings } from "./settings.ts";

const INT8_LIMIT: bigint = 2n ** 63n;

const toDurationMs: Reader<number> = reader(
  parseDurationMs,
  "must be a duration such as 500ms, 3s or 15m",
);

/** Kubernetes counts in seconds. */
const toSeconds: Reader<number> = reader((text) => {
  const ms = parseDurationMs(text) ?? 0;
  return ms > 0 && ms % 1000 === 0 ? ms : undefined;
}, "must be whole seconds above 0, such as 5s or 10m");

const toKey: Reader<string> = reader(
  (text) => (/^[-._a-zA-Z0-9]{1,253}$/.test(text) ? text : undefined),
  "must be a key of a Secret",
);

const toImage: Reader<string> = reader(
  (text) => (/^[\w][\w./:@-]*$/.test(text) ? text : undefined),
  "must be an image reference",
);

/** Text in, value out. */
export const READERS: Readers<Settings> = {
  ...PROBE_READERS,
  direct: choice("auto", "off"),
  lockWait: toDurationMs,
  lockTimeout: toDurationMs,
  deadline: toDurationMs,
  stay: toBoolean,
  lockId: reader(toInt8, "must be a 64-bit integer"),
  reclaimOrphans: toPositiveMs,
  atomic: toBoolean,
  cancelOrphanedBuild: toBoolean,
  to: reader(toVersion, "must be a version number"),
  skipMigrations: reader(toSkipMode, "must be true, false, verify or yield"),
  migrations: toPath,
  output: toPath,
  seedFailure: choice("fail", "warn"),
  generatedPasswordFile: toPath,
  allowWeakPassword: toBoolean,
  requirePasswordChange: toBoolean,
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
  name: reader(toName, "must be a DNS label of at most 36 characters"),
  image: toImage,
  appImage: toImage,
  secret: reader(toSecretName, "must be the name of a Secret"),
  urlKey: toKey,
  directUrlKey: toKey,
  pods: reader(toCount(1), "must be a whole number from 1 to 1000"),
  jobDeadline: toSeconds,
  probeTimeout: toSeconds,
  probePeriod: toSeconds,
  probeFailures: reader(toCount(1), "must be a whole number from 1 to 1000"),
  out: toPath,
  replicas: reader(toCount(2), "must be a whole number from 2 to 1000"),
  kill: reader(toCount(0), "must be a whole number from 0 to 1000"),
  drillSchema: choice("new", "existing"),
  contrast: toBoolean,
  runner: reader(parseScratch, "must be the ledger of a drill"),
  terminationLog: toPath,
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
  if (word === "verify" || TRUE.includes(word)) return "verify";
  return FALSE.includes(word) ? "off" : undefined;
}

/** The name of a Job has 27 characters more, and 63 at most. */
function toName(text: string): string | undefined {
  return /^[a-z]([-a-z0-9]{0,34}[a-z0-9])?$/.test(text) ? text : undefined;
}

function toSecretName(text: string): string | undefined {
  return /^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$/.test(text) ? text : undefined;
}
