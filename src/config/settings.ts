/**
 * Every flag and its variable, in one table: the parser, the loader, `--help` and the README all
 * read it. Connection variables (DATABASE_URL, PG*) are in `connection-settings.ts`.
 */

import type { Scratch } from "../core/drill-scratch.ts";
import type { Level } from "../core/events.ts";
import type { Policy } from "../core/head.ts";
import type { LedgerName } from "../core/ledger.ts";
import { type CommandName, GATED, NEAR_GATE, WITH_DIRECT } from "./commands.ts";
import { DRILL_SETTINGS } from "./drill-settings.ts";
import { MANIFEST_SETTINGS } from "./manifest-settings.ts";
import { OPERATOR_SETTINGS } from "./operator-settings.ts";
import { PACK_SETTINGS } from "./pack-settings.ts";
import { PROBE_SETTINGS } from "./probe-settings.ts";
import { SEED_SETTINGS } from "./seed-flags.ts";

/** One row of the table: where a setting comes from, and who has it. */
export interface Setting {
  readonly flag: string;
  /** What stands behind the flag; without it the flag is a switch. */
  readonly argument?: string;
  /** The first one that is set and not empty counts; a flag wins over all. */
  readonly variables: readonly string[];
  readonly default?: string;
  /** What some commands take instead of `default`. */
  readonly defaults?: Readonly<Partial<Record<CommandName, string>>>;
  readonly commands: readonly CommandName[];
  readonly help: string;
}

/** Every setting, parsed. Durations are in milliseconds. */
export interface Settings {
  readonly dir: string | undefined;
  readonly ledger: LedgerName;
  readonly databaseUrlFile: string | undefined;
  readonly direct: "auto" | "off";
  /** Undefined: as the connection settings say, else 5 s. */
  readonly connectTimeout: number | undefined;
  readonly allowCleartext: boolean;
  readonly policy: Policy;
  /** The start of the fingerprint that the bundle must have. */
  readonly expectBundle: string | undefined;
  readonly timeout: number;
  readonly lockWait: number;
  /** 0: none. */
  readonly lockTimeout: number;
  /** 0: none. */
  readonly deadline: number;
  readonly stay: boolean;
  readonly lockId: bigint | undefined;
  /** Undefined: nobody is ended. */
  readonly reclaimOrphans: number | undefined;
  readonly atomic: boolean;
  readonly cancelOrphanedBuild: boolean;
  readonly to: number | undefined;
  readonly skipMigrations: "off" | "verify" | "yield";
  readonly seed: "auto" | "rbac" | "none";
  readonly seeds: string | undefined;
  readonly roles: string | undefined;
  readonly requireSeeds: boolean;
  readonly seedFailure: "fail" | "warn";
  readonly generatedPasswordFile: string | undefined;
  readonly allowWeakPassword: boolean;
  /** Undefined: as the gateway's two variables say. */
  readonly requirePasswordChange: boolean | undefined;
  readonly enableAdmin: boolean;
  readonly assignOrphans: boolean;
  readonly takeOwned: boolean;
  readonly withoutConstraints: boolean;
  readonly noLedger: boolean;
  readonly exitCode: boolean;
  readonly applied: boolean;
  readonly rolledBack: boolean;
  readonly yes: boolean;
  readonly force: boolean;
  readonly sample: number;
  readonly owner: "job" | "init" | "app";
  readonly deliver: "install" | "copy" | "sidecar";
  readonly job: "plain" | "helm" | "argo";
  readonly name: string;
  readonly image: string | undefined;
  readonly appImage: string | undefined;
  readonly secret: string | undefined;
  readonly urlKey: string;
  readonly directUrlKey: string;
  readonly pods: number;
  readonly jobDeadline: number;
  readonly probeTimeout: number;
  readonly probePeriod: number;
  readonly probeFailures: number;
  readonly out: string | undefined;
  readonly replicas: number;
  readonly kill: number;
  readonly drillSchema: "new" | "existing";
  readonly contrast: boolean;
  /** This process is one runner of that drill. */
  readonly runner: Scratch | undefined;
  readonly migrations: string | undefined;
  readonly output: string | undefined;
  readonly json: boolean;
  readonly logFormat: "auto" | "json" | "text";
  readonly logLevel: Level;
  /** Undefined: Kubernetes' own file, where there is one. */
  readonly terminationLog: string | undefined;
  readonly envFile: string | undefined;
}

/** A key of `SETTINGS`. */
export type SettingName = keyof Settings;

const { dir, ledger, databaseUrlFile, connectTimeout, allowCleartext } = PROBE_SETTINGS;
const { policy, expectBundle, timeout, json, logFormat, logLevel, envFile } = PROBE_SETTINGS;

/** In the order of the help. */
export const SETTINGS: Readonly<Record<SettingName, Setting>> = {
  dir,
  ledger,
  databaseUrlFile,
  direct: {
    flag: "direct",
    argument: "<mode>",
    variables: ["HEADGATE_DIRECT"],
    default: "off",
    commands: WITH_DIRECT,
    help: "auto: use DIRECT_URL or DATABASE_URL_UNPOOLED for the gate; off",
  },
  connectTimeout,
  allowCleartext,
  policy,
  expectBundle,
  timeout,
  lockWait: {
    flag: "lock-wait",
    argument: "<duration>",
    variables: ["HEADGATE_LOCK_WAIT"],
    default: "300s",
    commands: [...GATED, "manifest"],
    help: "How long to wait for other runners without seeing progress",
  },
  lockTimeout: {
    flag: "lock-timeout",
    argument: "<duration>",
    variables: ["HEADGATE_LOCK_TIMEOUT"],
    default: "3s",
    commands: ["up", "down"],
    help: "For each lock of a migration that has no lock_timeout; 0 is none",
  },
  deadline: {
    flag: "deadline",
    argument: "<duration>",
    variables: ["HEADGATE_DEADLINE"],
    default: "0",
    defaults: { wait: "10m" },
    commands: [...GATED, "wait", "drill"],
    help: "Bound of the whole command; 0 is none",
  },
  stay: {
    flag: "stay",
    variables: ["HEADGATE_STAY"],
    default: "false",
    commands: ["wait"],
    help: "Then sleep until a signal: the process of a native sidecar",
  },
  lockId: {
    flag: "lock-id",
    argument: "<bigint>",
    variables: ["HEADGATE_LOCK_ID"],
    commands: NEAR_GATE,
    help: "Also hold (locks: look at) this advisory key of another tool",
  },
  reclaimOrphans: {
    flag: "reclaim-orphans",
    argument: "<age>",
    variables: ["HEADGATE_RECLAIM_ORPHANS"],
    commands: GATED,
    help: "End session-level holders idle this long; may end a living migrator",
  },
  atomic: {
    flag: "atomic",
    variables: ["HEADGATE_ATOMIC"],
    default: "false",
    commands: ["up"],
    help: "All pending migrations in one transaction",
  },
  cancelOrphanedBuild: {
    flag: "cancel-orphaned-build",
    variables: ["HEADGATE_CANCEL_ORPHANED_BUILD"],
    default: "false",
    commands: ["up"],
    help: "Cancel the statement of a runner that is gone, do not wait for it",
  },
  to: {
    flag: "to",
    argument: "<version>",
    variables: ["HEADGATE_TO"],
    commands: ["up", "plan"],
    help: "Apply nothing above this version",
  },
  skipMigrations: {
    flag: "skip-migrations",
    argument: "<mode>",
    variables: ["HEADGATE_SKIP_MIGRATIONS", "MCPGATEWAY_SKIP_MIGRATIONS"],
    default: "false",
    commands: ["up"],
    help: "true or verify: head must be there; yield: look at nothing; false",
  },
  ...SEED_SETTINGS,
  exitCode: {
    flag: "exit-code",
    variables: ["HEADGATE_EXIT_CODE"],
    default: "false",
    commands: ["status"],
    help: "Answer by exit status: 0, 3, 4, 5, 7, 8 or 9",
  },
  ...OPERATOR_SETTINGS,
  ...MANIFEST_SETTINGS,
  ...DRILL_SETTINGS,
  ...PACK_SETTINGS,
  json,
  logFormat,
  logLevel,
  terminationLog: {
    flag: "termination-log",
    argument: "<file>",
    variables: ["HEADGATE_TERMINATION_LOG"],
    commands: ["up", "seed", "wait"],
    help: "File for a failure's reason; else /dev/termination-log if there",
  },
  envFile,
};
