/** The flags about seeding; a part of `SETTINGS`. */
import type { CommandName } from "./commands.ts";
import { PROBE_SETTINGS } from "./probe-settings.ts";
import type { Setting } from "./settings.ts";

const SEEDING: readonly CommandName[] = ["up", "seed"];

/** Their names. */
export type SeedFlag =
  | "seed"
  | "seeds"
  | "roles"
  | "requireSeeds"
  | "seedFailure"
  | "generatedPasswordFile"
  | "allowWeakPassword"
  | "requirePasswordChange"
  | "enableAdmin"
  | "assignOrphans"
  | "takeOwned"
  | "withoutConstraints"
  | "noLedger";

const { seed, seeds, roles, requireSeeds } = PROBE_SETTINGS;

/** In the order of the help. */
export const SEED_SETTINGS: Readonly<Record<SeedFlag, Setting>> = {
  seed,
  seeds,
  roles,
  requireSeeds,
  seedFailure: {
    flag: "seed-failure",
    argument: "<mode>",
    variables: ["HEADGATE_SEED_FAILURE"],
    default: "fail",
    commands: ["up"],
    help: "fail: exit 9, migrations stay; warn: log it and go on",
  },
  generatedPasswordFile: {
    flag: "generated-password-file",
    argument: "<file>",
    variables: ["HEADGATE_GENERATED_PASSWORD_FILE"],
    commands: SEEDING,
    help: "Without PLATFORM_ADMIN_PASSWORD: make one, write it here, mode 0600",
  },
  allowWeakPassword: {
    flag: "allow-weak-password",
    variables: ["HEADGATE_ALLOW_WEAK_PASSWORD"],
    default: "false",
    commands: SEEDING,
    help: "Accept a password that anybody would try first",
  },
  requirePasswordChange: {
    flag: "require-password-change",
    argument: "<bool>",
    variables: ["HEADGATE_REQUIRE_PASSWORD_CHANGE"],
    commands: SEEDING,
    help: "false: a new admin may keep the password (headless installs)",
  },
  enableAdmin: {
    flag: "enable-admin",
    variables: ["HEADGATE_ENABLE_ADMIN"],
    default: "false",
    commands: ["seed"],
    help: "Give an admin that has no password one; others keep theirs",
  },
  assignOrphans: {
    flag: "assign-orphans",
    variables: ["HEADGATE_ASSIGN_ORPHANS"],
    default: "false",
    commands: ["up", "seed", "plan"],
    help: "Give resources without an owner to the admin; see plan first",
  },
  takeOwned: {
    flag: "take-owned",
    variables: ["HEADGATE_TAKE_OWNED"],
    default: "false",
    commands: ["up", "seed", "plan"],
    help: "With --assign-orphans: also owned ones without a team, made public",
  },
  withoutConstraints: {
    flag: "without-constraints",
    variables: ["HEADGATE_WITHOUT_CONSTRAINTS"],
    default: "false",
    commands: SEEDING,
    help: "Seed although no unique index backs it: the gate alone must do",
  },
  noLedger: {
    flag: "no-ledger",
    variables: ["HEADGATE_NO_LEDGER"],
    default: "false",
    commands: ["seed"],
    help: "Seed tables that another tool migrates; needs and makes no ledger",
  },
};
