/** Flags, variables and what the binary carries, as one definition of what is to be seeded. */

import type { CommandName } from "../config/commands.ts";
import { loadSeedSettings, type SeedInput, type SeedSettings } from "../config/seed-settings.ts";
import { SETTINGS, type Settings } from "../config/settings.ts";
import { settingsError } from "../config/settings-error.ts";
import { fingerprintOf } from "../core/checksum.ts";
import type { CustomSeeds } from "../core/custom-seeds.ts";
import { mergeRoles } from "../core/merge-roles.ts";
import type { RbacSpec, RoleSpec } from "../core/rbac.ts";
import type { SeedMark } from "../core/seed-mark.ts";
import type { RequiredSeeds } from "../flow/required-seeds.ts";
import type { Seeding } from "../flow/seeding.ts";
import type { Vault } from "../ports.ts";
import type { Seeds } from "./run.ts";

/** What the real world gives: `main.ts` has it. */
export interface SeedWorld extends Pick<SeedInput, "env" | "readFile"> {
  readonly mark: SeedMark;
  readonly loadSpec: () => Promise<RbacSpec>;
  /** Of the folder, or else those that come with the migrations. */
  readonly readSeeds: (folder: string | undefined) => Promise<CustomSeeds | undefined>;
  readonly createVault: (cost: SeedSettings["argon2"]) => Vault;
}

/**
 * For the commands that seed and those that ask whether it was done.
 *
 * @throws {HeadgateError} `config-invalid` or `bundle-invalid`, before any connection is made
 */
export async function loadSeeds(
  command: CommandName,
  settings: Settings,
  world: SeedWorld,
): Promise<Seeds> {
  const isReader = SETTINGS.requireSeeds.commands.includes(command);
  return isReader
    ? { required: await loadRequired(settings, world) }
    : { seeding: await loadSeeding(command, settings, world) };
}

/**
 * Undefined: this run seeds nothing. Whoever leaves migrations to another runner seeds only when told.
 */
async function loadSeeding(
  command: CommandName,
  settings: Settings,
  world: SeedWorld,
): Promise<Seeding | undefined> {
  if (settings.seed === "none") return undefined;
  if (settings.skipMigrations !== "off" && settings.seed !== "rbac") return undefined;
  const seeds = loadSeedSettings(seedInput(settings, world));
  const { accounts, fileRoles } = seeds;
  const spec = await world.loadSpec();
  const roles = mergeRoles(spec.roles, fileRoles ?? []);
  const custom = await world.readSeeds(settings.seeds);
  refuseContradictions(settings, seeds, custom);
  const mustHaveTables = command === "seed" && custom === undefined;
  return {
    mode: mustHaveTables || settings.seed === "rbac" ? "rbac" : "auto",
    wish: { accounts: accounts && { ...accounts, roles } },
    marks: marksOf(world.mark, fileRoles),
    custom,
    withoutConstraints: settings.withoutConstraints,
    password: {
      given: seeds.adminPassword,
      file: settings.generatedPasswordFile,
      allowsWeak: settings.allowWeakPassword,
    },
    vault: world.createVault(seeds.argon2),
    onFailure: settings.seedFailure,
  };
}

/** Under `--require-seeds`; needs no variable but that of a roles file. @throws {HeadgateError} as `loadSeeds` */
export async function loadRequired(
  settings: Pick<Settings, "requireSeeds" | "seed" | "seeds" | "roles">,
  world: Pick<SeedWorld, "env" | "readFile" | "mark" | "readSeeds">,
): Promise<RequiredSeeds | undefined> {
  if (!settings.requireSeeds || settings.seed === "none") return undefined;
  const { fileRoles } = loadSeedSettings(seedInput({ ...NO_WISH, ...settings }, world));
  const custom = await world.readSeeds(settings.seeds);
  return {
    mode: settings.seed,
    rbac: marksOf(world.mark, fileRoles),
    custom: custom?.mark,
  };
}

/** Who only asks wishes for nothing. */
const NO_WISH = {
  requirePasswordChange: undefined,
  assignOrphans: false,
  takeOwned: false,
  enableAdmin: false,
} as const;

function seedInput(
  settings: Pick<Settings, "roles" | keyof typeof NO_WISH>,
  { env, readFile }: Pick<SeedWorld, "env" | "readFile">,
): SeedInput {
  return {
    env,
    readFile,
    rolesFile: settings.roles,
    requirePasswordChange: settings.requirePasswordChange,
    assignsOrphans: settings.assignOrphans,
    takesOwned: settings.takeOwned,
    enablesAdmin: settings.enableAdmin,
  };
}

function marksOf(mark: SeedMark, fileRoles: readonly RoleSpec[] | undefined): readonly SeedMark[] {
  if (!fileRoles) return [mark];
  return [mark, { name: "rbac-file", number: 0, fingerprint: fingerprintOf(fileRoles) }];
}

function refuseContradictions(
  settings: Settings,
  { adminPassword }: SeedSettings,
  custom: CustomSeeds | undefined,
): void {
  const hasPassword = adminPassword !== undefined || settings.generatedPasswordFile !== undefined;
  if (settings.enableAdmin && !hasPassword) {
    throw settingsError(
      "--enable-admin has no password to give",
      "Set PLATFORM_ADMIN_PASSWORD or pass --generated-password-file FILE",
    );
  }
  if (settings.takeOwned && !settings.assignOrphans) {
    throw settingsError("--take-owned has no effect without --assign-orphans", "Pass both");
  }
  if (settings.noLedger && custom !== undefined) {
    throw settingsError(
      "seed files need a ledger, beside which is recorded what has run",
      "Leave out --no-ledger, or --seeds where it is given",
    );
  }
}
