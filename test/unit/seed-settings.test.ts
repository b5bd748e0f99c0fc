import { describe, expect, test } from "bun:test";
import {
  loadSeedSettings,
  type SeedInput,
  type SeedSettings,
} from "../../src/config/seed-settings.ts";
import { SEED_VARIABLES, type SeedValues } from "../../src/config/seed-variables.ts";
import { HeadgateError } from "../../src/core/error.ts";
import type { TeamWish } from "../../src/core/rbac.ts";

type Strings = Readonly<Record<string, string>>;
type Accounts = NonNullable<SeedSettings["accounts"]>;

const NAMES = Object.keys(SEED_VARIABLES) as (keyof SeedValues)[];
const SECRET = "s3cr3t!";
const ROLE = { name: "auditor", scope: "global", permissions: ["audit:read"] };
const FILES: Strings = {
  "additional_roles_in_db.json": JSON.stringify([ROLE]),
  "/roles.json": JSON.stringify([ROLE, { ...ROLE, scope: "team" }]),
  "/empty.json": "[]",
  "/bad.json": JSON.stringify([{ ...ROLE, scope: "galaxy" }]),
};

function load(env: Strings = {}, input: Partial<SeedInput> = {}): SeedSettings {
  return loadSeedSettings({
    env,
    readFile: (path) => FILES[path],
    rolesFile: undefined,
    requirePasswordChange: undefined,
    assignsOrphans: false,
    takesOwned: false,
    enablesAdmin: false,
    ...input,
  });
}

function accounts(env: Strings = {}, input: Partial<SeedInput> = {}): Accounts {
  const { accounts: found } = load(env, input);
  if (found === undefined) throw new Error("there are no accounts");
  return found;
}

function team(env: Strings): TeamWish | undefined {
  return accounts(env).team;
}

function refusal(env: Strings, input: Partial<SeedInput> = {}): string {
  try {
    load(env, input);
  } catch (error) {
    if (!(error instanceof HeadgateError)) throw error;
    expect(error.code).toBe("config-invalid");
    return `${error.message}${error.hint === undefined ? "" : ` (${error.hint})`}`;
  }
  throw new Error("the settings were loaded");
}

describe("loadSeedSettings()", () => {
  test("has a default for everything but the password", () => {
    const defaults: SeedSettings = {
      accounts: {
        admin: {
          email: "admin@example.com",
          fullName: "Platform Administrator",
          mustChangePassword: true,
          isEnabled: false,
        },
        team: { name: "Platform Administrator's Team", slug: "platform-administrators-team" },
        grants: [
          { role: "platform_admin", scope: "global" },
          { role: "team_admin", scope: "team" },
        ],
        orphans: "leave",
        separator: "-",
      },
      fileRoles: undefined,
      adminPassword: undefined,
      argon2: { passes: 3, memoryKib: 65_536, parallelism: 1 },
    };
    expect(load()).toEqual(defaults);
    expect(load(Object.fromEntries(NAMES.map((name) => [name, ""])))).toEqual(defaults);
    const texts = NAMES.map((name) => [name, SEED_VARIABLES[name].default ?? ""]);
    expect(load(Object.fromEntries(texts))).toEqual(defaults);
  });

  const others: { readonly [Name in keyof SeedValues]: string } = {
    EMAIL_AUTH_ENABLED: "off",
    PLATFORM_ADMIN_EMAIL: "root@corp.io",
    PLATFORM_ADMIN_PASSWORD: SECRET,
    PLATFORM_ADMIN_FULL_NAME: "Jane Doe",
    ARGON2ID_TIME_COST: "4",
    ARGON2ID_MEMORY_COST: "1024",
    ARGON2ID_PARALLELISM: "2",
    PASSWORD_CHANGE_ENFORCEMENT_ENABLED: "no",
    ADMIN_REQUIRE_PASSWORD_CHANGE_ON_BOOTSTRAP: "0",
    AUTO_CREATE_PERSONAL_TEAMS: "False",
    PERSONAL_TEAM_PREFIX: "Own",
    GATEWAY_TOOL_NAME_SEPARATOR: "_",
    DEFAULT_ADMIN_ROLE: "boss",
    DEFAULT_TEAM_OWNER_ROLE: "owner",
    MCPGATEWAY_BOOTSTRAP_ROLES_IN_DB_ENABLED: "yes",
    MCPGATEWAY_BOOTSTRAP_ROLES_IN_DB_FILE: "/empty.json",
  };
  test.each(NAMES)("reads %s, also out of a file", (name) => {
    const enabled = { MCPGATEWAY_BOOTSTRAP_ROLES_IN_DB_ENABLED: "true" };
    const base: Strings = name === "MCPGATEWAY_BOOTSTRAP_ROLES_IN_DB_FILE" ? enabled : {};
    const read = load({ ...base, [name]: others[name] });
    expect(read).not.toEqual(load(base));
    const readFile = (path: string) => (path === "/run/x" ? `${others[name]}\n` : FILES[path]);
    expect(load({ ...base, [`${name}_FILE`]: "/run/x" }, { readFile })).toEqual(read);
  });

  test("has no accounts without EMAIL_AUTH_ENABLED", () => {
    const settings = load({ EMAIL_AUTH_ENABLED: "false", ARGON2ID_TIME_COST: "5" });
    expect(settings.accounts).toBeUndefined();
    expect(settings.argon2.passes).toBe(5);
  });

  test("takes the password as it is, but for a file's last line end", () => {
    expect(load({ PLATFORM_ADMIN_PASSWORD: ` ${SECRET} ` }).adminPassword).toBe(` ${SECRET} `);
    const readFile = (): string => `${SECRET} \n`;
    expect(load({ PLATFORM_ADMIN_PASSWORD_FILE: "/p" }, { readFile }).adminPassword).toBe(
      `${SECRET} `,
    );
  });

  test("passes enablesAdmin on", () => {
    expect(accounts({}, { enablesAdmin: true }).admin.isEnabled).toBe(true);
  });

  const orphans: readonly [assigns: boolean, owned: boolean, mode: Accounts["orphans"]][] = [
    [false, false, "leave"],
    [false, true, "leave"],
    [true, false, "ownerless"],
    [true, true, "all"],
  ];
  test.each(orphans)("orphans: assigns %p, takes owned %p is %p", (assigns, owned, mode) => {
    const input = { assignsOrphans: assigns, takesOwned: owned };
    expect(accounts({}, input).orphans).toBe(mode);
  });

  const changes: readonly [
    enforced: string,
    required: string,
    flag: boolean | undefined,
    must: boolean,
  ][] = [
    ["true", "true", undefined, true],
    ["false", "true", undefined, false],
    ["true", "false", undefined, false],
    ["false", "false", undefined, false],
    ["true", "true", false, false],
    ["false", "true", true, true],
    ["false", "false", true, true],
  ];
  test.each(changes)(
    "password change: %p and %p, flag %p: %p",
    (enforced, required, flag, must) => {
      const env = {
        PASSWORD_CHANGE_ENFORCEMENT_ENABLED: enforced,
        ADMIN_REQUIRE_PASSWORD_CHANGE_ON_BOOTSTRAP: required,
      };
      const { admin } = accounts(env, { requirePasswordChange: flag });
      expect(admin.mustChangePassword).toBe(must);
    },
  );

  test("grants DEFAULT_ADMIN_ROLE beside platform_admin, not instead of it", () => {
    const env = { DEFAULT_ADMIN_ROLE: " boss ", DEFAULT_TEAM_OWNER_ROLE: "owner" };
    expect(accounts(env).grants).toEqual([
      { role: "platform_admin", scope: "global" },
      { role: "boss", scope: "global" },
      { role: "owner", scope: "team" },
    ]);
  });
});

describe("loadSeedSettings() e-mail", () => {
  test.each(["Root@Corp.IO", "  root@corp.io ", "ROOT@CORP.IO\t"])(
    "%j has one spelling",
    (text) => {
      const env = { PLATFORM_ADMIN_EMAIL: text, PERSONAL_TEAM_PREFIX: "own" };
      const { admin, team: own } = accounts(env);
      expect(admin.email).toBe("root@corp.io");
      expect(own?.slug).toBe("own-root-corp-io");
    },
  );

  test.each(["a+b@x.co", "a.b-c_d%@sub.x-y.museum", `${"a".repeat(249)}@x.com`])(
    "takes %p",
    (email) => {
      expect(accounts({ PLATFORM_ADMIN_EMAIL: email }).admin.email).toBe(email);
    },
  );

  const bad = [
    "admin",
    "admin@",
    "@x.com",
    "admin@localhost",
    "admin@x.c",
    "admin@x.c0m",
    "a b@x.com",
    "a@b@x.com",
    "ädmin@x.com",
    // KELVIN SIGN, whose lower case is an ASCII k
    "\u212a@x.com",
    "a\0@x.com",
    " ",
    `${"a".repeat(250)}@x.com`,
  ];
  test.each(bad)("refuses %j", (email) => {
    expect(refusal({ PLATFORM_ADMIN_EMAIL: email })).toBe(
      "Cannot load settings: PLATFORM_ADMIN_EMAIL must be an e-mail address of at most 255 characters",
    );
  });
});

describe("loadSeedSettings() team", () => {
  const table: readonly [what: string, env: Strings, name: string, slug: string][] = [
    [
      "is named after the admin",
      { PLATFORM_ADMIN_FULL_NAME: " Zoë Ærø " },
      "Zoë Ærø's Team",
      "zoe-aeros-team",
    ],
    [
      "of a blank name is named after the address",
      { PLATFORM_ADMIN_FULL_NAME: " " },
      "admin's Team",
      "admins-team",
    ],
    [
      "has the separator in its slug",
      { GATEWAY_TOOL_NAME_SEPARATOR: "--" },
      "Platform Administrator's Team",
      "platform--administrators--team",
    ],
    [
      "has the prefix and the address in its slug",
      { PERSONAL_TEAM_PREFIX: "Own Team" },
      "Platform Administrator's Team",
      "own-team-admin-example-com",
    ],
    [
      "has no prefix of which no slug remains",
      { PERSONAL_TEAM_PREFIX: "!?" },
      "Platform Administrator's Team",
      "platform-administrators-team",
    ],
    [
      "keeps other signs of the address",
      { PERSONAL_TEAM_PREFIX: "p", PLATFORM_ADMIN_EMAIL: "a+b_c@x.io" },
      "Platform Administrator's Team",
      "p-a+b_c-x-io",
    ],
  ];
  test.each(table)("%s", (_what, env, name, slug) => {
    expect(team(env)).toEqual({ name, slug });
  });

  test("is undefined without AUTO_CREATE_PERSONAL_TEAMS; the grant stays for one that is there", () => {
    const { team: own, grants } = accounts({ AUTO_CREATE_PERSONAL_TEAMS: "false" });
    expect(own).toBeUndefined();
    expect(grants).toContainEqual({ role: "team_admin", scope: "team" });
  });

  test("has a name and a slug that fit, with room for a number", () => {
    const long = team({ PLATFORM_ADMIN_FULL_NAME: "Æ🔑".repeat(127) });
    expect([...(long?.name ?? "")]).toHaveLength(255);
    expect(long?.name).toEndWith("'s Team");
    const email = `${"a".repeat(249)}@x.com`;
    const prefixed = team({ PERSONAL_TEAM_PREFIX: "x".repeat(100), PLATFORM_ADMIN_EMAIL: email });
    expect(prefixed?.slug).toHaveLength(240);
  });
});

describe("loadSeedSettings() roles file", () => {
  const enabled = { MCPGATEWAY_BOOTSTRAP_ROLES_IN_DB_ENABLED: "true" };
  const named = { MCPGATEWAY_BOOTSTRAP_ROLES_IN_DB_FILE: "/roles.json" };
  const count = (env: Strings, rolesFile?: string): number | undefined =>
    load(env, { rolesFile }).fileRoles?.length;

  test("is read when it is enabled or named by the flag, which wins", () => {
    expect(count({})).toBeUndefined();
    expect(count(named)).toBeUndefined();
    expect(count(enabled)).toBe(1);
    expect(count({ ...enabled, ...named })).toBe(2);
    expect(count({}, "/roles.json")).toBe(2);
    expect(count({ ...enabled, ...named }, "/empty.json")).toBe(0);
  });

  test("must exist", () => {
    const variable = { ...enabled, MCPGATEWAY_BOOTSTRAP_ROLES_IN_DB_FILE: "/none.json" };
    expect(refusal(variable)).toBe(
      "Cannot load settings: MCPGATEWAY_BOOTSTRAP_ROLES_IN_DB_FILE names a file that does not exist: /none.json",
    );
    expect(refusal(enabled, { readFile: () => undefined })).toEndWith(
      "does not exist: additional_roles_in_db.json",
    );
    expect(refusal({}, { rolesFile: "/none.json" })).toBe(
      "Cannot load settings: --roles names a file that does not exist: /none.json",
    );
  });

  test("is refused by the name of what named it", () => {
    const problem = '[0].scope: "galaxy" is no scope: global, team or personal';
    expect(refusal({}, { rolesFile: "/bad.json" })).toBe(
      `Cannot load settings: the file that --roles names: ${problem}`,
    );
    expect(refusal({ ...enabled, MCPGATEWAY_BOOTSTRAP_ROLES_IN_DB_FILE: "/bad.json" })).toBe(
      `Cannot load settings: the file that MCPGATEWAY_BOOTSTRAP_ROLES_IN_DB_FILE names: ${problem}`,
    );
  });

  test("that cannot be read is one problem among others", () => {
    const readFile = (): string => {
      throw new HeadgateError("Cannot load settings: a named file cannot be read (EISDIR)", {
        code: "config-invalid",
      });
    };
    const message = refusal({ EMAIL_AUTH_ENABLED: "2" }, { readFile, rolesFile: "/" });
    expect(message).toBe(
      "Cannot load settings: EMAIL_AUTH_ENABLED must be true or false; a named file cannot be read (EISDIR)",
    );
  });
});

describe("loadSeedSettings() refuses", () => {
  const long = SECRET.repeat(37);
  const table: readonly [name: keyof SeedValues, text: string, must: string][] = [
    ["EMAIL_AUTH_ENABLED", SECRET, "must be true or false"],
    ["PLATFORM_ADMIN_FULL_NAME", long, "must have at most 255 characters and no control character"],
    [
      "PLATFORM_ADMIN_FULL_NAME",
      `${SECRET}\n${SECRET}`,
      "must have at most 255 characters and no control character",
    ],
    ["ARGON2ID_TIME_COST", "0", "must be an integer from 1 to 1000"],
    ["ARGON2ID_TIME_COST", "1001", "must be an integer from 1 to 1000"],
    ["ARGON2ID_TIME_COST", "3.0", "must be an integer from 1 to 1000"],
    ["ARGON2ID_TIME_COST", "1e2", "must be an integer from 1 to 1000"],
    ["ARGON2ID_MEMORY_COST", "7", "must be an integer from 8 to 4194304"],
    ["ARGON2ID_MEMORY_COST", "4194305", "must be an integer from 8 to 4194304"],
    ["ARGON2ID_MEMORY_COST", "64MiB", "must be an integer from 8 to 4194304"],
    ["ARGON2ID_PARALLELISM", "0", "must be an integer from 1 to 255"],
    ["ARGON2ID_PARALLELISM", "256", "must be an integer from 1 to 255"],
    ["PASSWORD_CHANGE_ENFORCEMENT_ENABLED", SECRET, "must be true or false"],
    ["ADMIN_REQUIRE_PASSWORD_CHANGE_ON_BOOTSTRAP", SECRET, "must be true or false"],
    ["AUTO_CREATE_PERSONAL_TEAMS", SECRET, "must be true or false"],
    ["PERSONAL_TEAM_PREFIX", long, "must have at most 100 characters and no control character"],
    ["GATEWAY_TOOL_NAME_SEPARATOR", "/", "must be -, --, . or _"],
    ["GATEWAY_TOOL_NAME_SEPARATOR", " ", "must be -, --, . or _"],
    ["DEFAULT_ADMIN_ROLE", " ", "must have 1 to 255 characters and no control character"],
    ["DEFAULT_TEAM_OWNER_ROLE", long, "must have 1 to 255 characters and no control character"],
    ["MCPGATEWAY_BOOTSTRAP_ROLES_IN_DB_ENABLED", SECRET, "must be true or false"],
    ["MCPGATEWAY_BOOTSTRAP_ROLES_IN_DB_FILE", " ", "must name a file"],
  ];
  test.each(table)(
    "%s=%j, by name and without its value, also out of a file",
    (name, text, must) => {
      expect(refusal({ [name]: text })).toBe(`Cannot load settings: ${name} ${must}`);
      const byFile = refusal({ [`${name}_FILE`]: `/run/${SECRET}` }, { readFile: () => text });
      expect(byFile).toBe(`Cannot load settings: ${name}_FILE ${must}`);
    },
  );

  test("less memory than Argon2 takes", () => {
    const env = { ARGON2ID_MEMORY_COST: "31", ARGON2ID_PARALLELISM: "4" };
    expect(refusal(env)).toBe(
      "Cannot load settings: ARGON2ID_MEMORY_COST must be at least 8 times ARGON2ID_PARALLELISM",
    );
    expect(load({ ...env, ARGON2ID_MEMORY_COST: "32" }).argon2.memoryKib).toBe(32);
  });

  test("a password and its file together, or a file that is not there, without showing either", () => {
    const both = { PLATFORM_ADMIN_PASSWORD: SECRET, PLATFORM_ADMIN_PASSWORD_FILE: SECRET };
    expect(refusal(both)).toBe(
      "Cannot load settings: PLATFORM_ADMIN_PASSWORD and PLATFORM_ADMIN_PASSWORD_FILE are both set (Unset one of them)",
    );
    expect(refusal({ PLATFORM_ADMIN_PASSWORD_FILE: SECRET })).toBe(
      "Cannot load settings: PLATFORM_ADMIN_PASSWORD_FILE names a file that does not exist",
    );
  });

  test("everything that is wrong in one message, also without EMAIL_AUTH_ENABLED", () => {
    const env = {
      EMAIL_AUTH_ENABLED: "false",
      PLATFORM_ADMIN_EMAIL: SECRET,
      PLATFORM_ADMIN_PASSWORD: SECRET,
      ARGON2ID_MEMORY_COST: "8",
      ARGON2ID_PARALLELISM: "2",
      AUTO_CREATE_PERSONAL_TEAMS: SECRET,
      GATEWAY_TOOL_NAME_SEPARATOR: SECRET,
    };
    const message = refusal(env, { rolesFile: "/bad.json" });
    expect(message.replace("Cannot load settings: ", "").split("; ")).toEqual([
      "PLATFORM_ADMIN_EMAIL must be an e-mail address of at most 255 characters",
      "AUTO_CREATE_PERSONAL_TEAMS must be true or false",
      "GATEWAY_TOOL_NAME_SEPARATOR must be -, --, . or _",
      'the file that --roles names: [0].scope: "galaxy" is no scope: global, team or personal',
      "ARGON2ID_MEMORY_COST must be at least 8 times ARGON2ID_PARALLELISM",
    ]);
    expect(message).not.toContain(SECRET);
  });
});
