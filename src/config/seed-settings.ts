/** What the gateway's first rows shall be: its variables, two flags and the roles file in, one wish out. */
import type { HeadgateError } from "../core/error.ts";
import type { AccountsWish, GrantWish, RoleSpec, TeamWish } from "../core/rbac.ts";
import { slugify } from "../core/slug.ts";
import type { Env } from "./libpq-env.ts";
import { parseRolesFile } from "./roles-file.ts";
import { readSeedValues, type SeedValues } from "./seed-variables.ts";
import type { ReadFile } from "./service-file.ts";
import { attempt, settingsError, throwIfAny } from "./settings-error.ts";

/** The gateway itself looks for this role, whatever DEFAULT_ADMIN_ROLE says. */
const ADMIN_ROLE = "platform_admin";
/** With the end of a team's name it fills the column of 255. */
const DISPLAY_MAX = 248;
/** Leaves room in the column of 255 for a number. */
const SLUG_MAX = 240;

/** What the settings are read from. */
export interface SeedInput {
  readonly env: Env;
  readonly readFile: ReadFile;
  /** `--roles`: wins over both variables. */
  readonly rolesFile: string | undefined;
  /** The flag that wins over both variables of a forced password change. */
  readonly requirePasswordChange: boolean | undefined;
  readonly assignsOrphans: boolean;
  /** Without `assignsOrphans` it has no effect. */
  readonly takesOwned: boolean;
  readonly enablesAdmin: boolean;
}

/** Everything that variables and flags say about the rows. */
export interface SeedSettings {
  /** All but the roles, which need the binary's own. Undefined: EMAIL_AUTH_ENABLED=false. */
  readonly accounts: Omit<AccountsWish, "roles"> | undefined;
  /** The roles file's; undefined when none is named. */
  readonly fileRoles: readonly RoleSpec[] | undefined;
  /** PLATFORM_ADMIN_PASSWORD. */
  readonly adminPassword: string | undefined;
  readonly argon2: Argon2Costs;
}

/** What a password's hash costs. */
export interface Argon2Costs {
  readonly passes: number;
  readonly memoryKib: number;
  readonly parallelism: number;
}

/**
 * Reads variables and the roles file. All are judged, also those that EMAIL_AUTH_ENABLED=false leaves
 * without effect.
 *
 * @throws {HeadgateError} `config-invalid`, every problem in one message, by name and never by value
 */
export function loadSeedSettings(input: SeedInput): SeedSettings {
  const errors: HeadgateError[] = [];
  const read = readSeedValues(input.env, input.readFile, errors);
  const fileRoles = attempt(() => loadRoles(input, read), errors);
  attempt(() => checkMemory(read), errors);
  throwIfAny(errors);
  const values = read as SeedValues;
  return {
    accounts: values.EMAIL_AUTH_ENABLED ? accountsOf(values, input) : undefined,
    fileRoles,
    adminPassword: values.PLATFORM_ADMIN_PASSWORD,
    argon2: {
      passes: values.ARGON2ID_TIME_COST,
      memoryKib: values.ARGON2ID_MEMORY_COST,
      parallelism: values.ARGON2ID_PARALLELISM,
    },
  };
}

function loadRoles(
  { rolesFile, readFile }: SeedInput,
  values: Partial<SeedValues>,
): readonly RoleSpec[] | undefined {
  const isEnabled = values.MCPGATEWAY_BOOTSTRAP_ROLES_IN_DB_ENABLED === true;
  const path = rolesFile ?? (isEnabled ? values.MCPGATEWAY_BOOTSTRAP_ROLES_IN_DB_FILE : undefined);
  if (path === undefined) return undefined;
  const source = rolesFile === undefined ? "MCPGATEWAY_BOOTSTRAP_ROLES_IN_DB_FILE" : "--roles";
  const text = readFile(path);
  if (text === undefined) {
    throw settingsError(`${source} names a file that does not exist: ${path}`);
  }
  return parseRolesFile(text, source);
}

/** Argon2 has no less; a value that is wrong by itself has been reported. */
function checkMemory(values: Partial<SeedValues>): void {
  const { ARGON2ID_MEMORY_COST: memory, ARGON2ID_PARALLELISM: lanes } = values;
  if (memory === undefined || lanes === undefined || memory >= 8 * lanes) return;
  throw settingsError("ARGON2ID_MEMORY_COST must be at least 8 times ARGON2ID_PARALLELISM");
}

function accountsOf(values: SeedValues, input: SeedInput): Omit<AccountsWish, "roles"> {
  const isChangeEnforced =
    values.PASSWORD_CHANGE_ENFORCEMENT_ENABLED && values.ADMIN_REQUIRE_PASSWORD_CHANGE_ON_BOOTSTRAP;
  return {
    admin: {
      email: values.PLATFORM_ADMIN_EMAIL,
      fullName: values.PLATFORM_ADMIN_FULL_NAME,
      mustChangePassword: input.requirePasswordChange ?? isChangeEnforced,
      isEnabled: input.enablesAdmin,
    },
    team: values.AUTO_CREATE_PERSONAL_TEAMS ? teamOf(values) : undefined,
    grants: grantsOf(values),
    orphans: orphansOf(input),
    separator: values.GATEWAY_TOOL_NAME_SEPARATOR,
  };
}

function teamOf(values: SeedValues): TeamWish {
  const email = values.PLATFORM_ADMIN_EMAIL;
  const separator = values.GATEWAY_TOOL_NAME_SEPARATOR;
  const display = values.PLATFORM_ADMIN_FULL_NAME || email.replace(/@.*$/, "");
  const name = `${[...display].slice(0, DISPLAY_MAX).join("")}'s Team`;
  const prefix = slugify(values.PERSONAL_TEAM_PREFIX, separator);
  const slug =
    prefix === "" ? slugify(name, separator) : `${prefix}-${email.replace(/[@.]/g, "-")}`;
  return { name, slug: slug.slice(0, SLUG_MAX) };
}

function grantsOf(values: SeedValues): readonly GrantWish[] {
  const globals = new Set([ADMIN_ROLE, values.DEFAULT_ADMIN_ROLE]);
  return [
    ...[...globals].map((role): GrantWish => ({ role, scope: "global" })),
    { role: values.DEFAULT_TEAM_OWNER_ROLE, scope: "team" },
  ];
}

function orphansOf({ assignsOrphans, takesOwned }: SeedInput): AccountsWish["orphans"] {
  if (!assignsOrphans) return "leave";
  return takesOwned ? "all" : "ownerless";
}
