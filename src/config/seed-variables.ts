/**
 * The gateway's own variables that say what its first rows are, in one table: the loader and the README
 * read it. Names and defaults are the gateway's; each may stand in a file, as `<NAME>_FILE`.
 */
import type { HeadgateError } from "../core/error.ts";
import type { Env } from "./libpq-env.ts";
import { choice, type Reader, reader, toBoolean } from "./reader.ts";
import { toRoleName } from "./roles-file.ts";
import { readSecretVariable } from "./secret-variable.ts";
import type { ReadFile } from "./service-file.ts";
import { attempt, settingsError } from "./settings-error.ts";

/** 4 GiB. */
const MEMORY_KIB_MAX = 4_194_304;
const EMAIL = /^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}$/;

/** Blanks may be a part of a password. */
const AS_IT_STANDS: Reader<string> = { read: (text) => text, must: "must be a text" };

/** Every variable's value, parsed. */
export interface SeedValues {
  readonly EMAIL_AUTH_ENABLED: boolean;
  readonly PLATFORM_ADMIN_EMAIL: string;
  readonly PLATFORM_ADMIN_PASSWORD: string | undefined;
  readonly PLATFORM_ADMIN_FULL_NAME: string;
  readonly ARGON2ID_TIME_COST: number;
  readonly ARGON2ID_MEMORY_COST: number;
  readonly ARGON2ID_PARALLELISM: number;
  readonly PASSWORD_CHANGE_ENFORCEMENT_ENABLED: boolean;
  readonly ADMIN_REQUIRE_PASSWORD_CHANGE_ON_BOOTSTRAP: boolean;
  readonly AUTO_CREATE_PERSONAL_TEAMS: boolean;
  readonly PERSONAL_TEAM_PREFIX: string;
  readonly GATEWAY_TOOL_NAME_SEPARATOR: string;
  readonly DEFAULT_ADMIN_ROLE: string;
  readonly DEFAULT_TEAM_OWNER_ROLE: string;
  readonly MCPGATEWAY_BOOTSTRAP_ROLES_IN_DB_ENABLED: boolean;
  readonly MCPGATEWAY_BOOTSTRAP_ROLES_IN_DB_FILE: string;
}

/** One row of the table. */
export interface SeedVariable<T> {
  readonly default?: string;
  readonly help: string;
  readonly reader: Reader<Exclude<T, undefined>>;
}

/** In the order of the README. */
export const SEED_VARIABLES: {
  readonly [Name in keyof SeedValues]: SeedVariable<SeedValues[Name]>;
} = {
  EMAIL_AUTH_ENABLED: {
    default: "true",
    help: "false: no admin, roles, team or grants; only team visibility is seen to",
    reader: toBoolean,
  },
  PLATFORM_ADMIN_EMAIL: {
    default: "admin@example.com",
    help: "The admin's address; blanks around it and upper case do not count",
    reader: reader(toEmail, "must be an e-mail address of at most 255 characters"),
  },
  PLATFORM_ADMIN_PASSWORD: {
    help: "For a new admin; an existing password is never touched",
    reader: AS_IT_STANDS,
  },
  PLATFORM_ADMIN_FULL_NAME: {
    default: "Platform Administrator",
    help: "The admin's name, and that of the personal team",
    reader: toLine(255),
  },
  ARGON2ID_TIME_COST: {
    default: "3",
    help: "Passes over the memory, 1 to 1000",
    reader: toInteger(1, 1000),
  },
  ARGON2ID_MEMORY_COST: {
    default: "65536",
    help: "KiB, at least 8 for each lane",
    reader: toInteger(8, MEMORY_KIB_MAX),
  },
  ARGON2ID_PARALLELISM: { default: "1", help: "Lanes, 1 to 255", reader: toInteger(1, 255) },
  PASSWORD_CHANGE_ENFORCEMENT_ENABLED: {
    default: "true",
    help: "false: a new admin need not change the password",
    reader: toBoolean,
  },
  ADMIN_REQUIRE_PASSWORD_CHANGE_ON_BOOTSTRAP: {
    default: "true",
    help: "The same; both must be true",
    reader: toBoolean,
  },
  AUTO_CREATE_PERSONAL_TEAMS: {
    default: "true",
    help: "false: no personal team is created",
    reader: toBoolean,
  },
  PERSONAL_TEAM_PREFIX: {
    default: "",
    help: "The team's slug is this and the address, not the team's name",
    reader: toLine(100),
  },
  GATEWAY_TOOL_NAME_SEPARATOR: {
    default: "-",
    help: "Between the words of a slug: -, --, . or _",
    reader: choice("-", "--", ".", "_"),
  },
  DEFAULT_ADMIN_ROLE: {
    default: "platform_admin",
    help: "The admin's global role, beside platform_admin",
    reader: toRoleName,
  },
  DEFAULT_TEAM_OWNER_ROLE: {
    default: "team_admin",
    help: "The admin's role on the personal team",
    reader: toRoleName,
  },
  MCPGATEWAY_BOOTSTRAP_ROLES_IN_DB_ENABLED: {
    default: "false",
    help: "true: read the file of additional roles",
    reader: toBoolean,
  },
  MCPGATEWAY_BOOTSTRAP_ROLES_IN_DB_FILE: {
    default: "additional_roles_in_db.json",
    help: "The file of additional roles; --roles wins over both variables",
    reader: reader((text) => text || undefined, "must name a file"),
  },
};

/** Reads every variable of the table. Problems go to `errors`, and their variables are missing. */
export function readSeedValues(
  env: Env,
  readFile: ReadFile,
  errors: HeadgateError[],
): Partial<SeedValues> {
  const names = Object.keys(SEED_VARIABLES) as readonly (keyof SeedValues)[];
  const read = (name: keyof SeedValues): unknown => {
    const given = readSecretVariable(name, env, readFile);
    const variable: SeedVariable<unknown> = SEED_VARIABLES[name];
    const text = given?.value ?? variable.default;
    const value = text === undefined ? undefined : variable.reader.read(text);
    if (value !== undefined || text === undefined) return value;
    throw settingsError(`${given?.source ?? name} ${variable.reader.must}`);
  };
  return Object.fromEntries(names.map((name) => [name, attempt(() => read(name), errors)]));
}

/** Judged before it is in lower case: some letters outside of ASCII have an ASCII lower case. */
function toEmail(text: string): string | undefined {
  return text.length <= 255 && EMAIL.test(text) ? text.toLowerCase() : undefined;
}

function toLine(max: number): Reader<string> {
  const isLine = new RegExp(`^\\P{Cc}{0,${max}}$`, "u");
  return reader(
    (text) => (isLine.test(text) ? text : undefined),
    `must have at most ${max} characters and no control character`,
  );
}

function toInteger(min: number, max: number): Reader<number> {
  return reader((text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= max ? value : undefined;
  }, `must be an integer from ${min} to ${max}`);
}
