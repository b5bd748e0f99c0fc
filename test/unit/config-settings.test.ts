import { describe, expect, test } from "bun:test";
import { COMMANDS, type CommandName } from "../../src/config/commands.ts";
import { loadSettings } from "../../src/config/config.ts";
import type { ConfigInput, Flags } from "../../src/config/read-settings.ts";
import { READERS } from "../../src/config/setting-values.ts";
import { SETTINGS, type SettingName, type Settings } from "../../src/config/settings.ts";
import { scratchOf } from "../../src/core/drill-scratch.ts";
import { HeadgateError } from "../../src/core/error.ts";

type Strings = Readonly<Record<string, string>>;

const NAMES = Object.keys(SETTINGS) as SettingName[];
const SECRET = "s3cr3t";

const DEFAULTS: Settings = {
  dir: undefined,
  ledger: { schema: undefined, table: "headgate_migrations" },
  databaseUrlFile: undefined,
  direct: "off",
  connectTimeout: undefined,
  allowCleartext: false,
  policy: "at-least",
  expectBundle: undefined,
  timeout: 900,
  lockWait: 300_000,
  lockTimeout: 3000,
  deadline: 0,
  stay: false,
  lockId: undefined,
  reclaimOrphans: undefined,
  atomic: false,
  cancelOrphanedBuild: false,
  to: undefined,
  skipMigrations: "off",
  seed: "auto",
  seeds: undefined,
  roles: undefined,
  requireSeeds: false,
  seedFailure: "fail",
  generatedPasswordFile: undefined,
  allowWeakPassword: false,
  requirePasswordChange: undefined,
  enableAdmin: false,
  assignOrphans: false,
  takeOwned: false,
  withoutConstraints: false,
  noLedger: false,
  exitCode: false,
  applied: false,
  rolledBack: false,
  yes: false,
  force: false,
  sample: 10_000,
  owner: "job",
  deliver: "install",
  job: "plain",
  name: "app",
  image: undefined,
  appImage: undefined,
  secret: undefined,
  urlKey: "url",
  directUrlKey: "direct-url",
  pods: 3,
  jobDeadline: 600_000,
  probeTimeout: 2000,
  probePeriod: 5000,
  probeFailures: 132,
  out: undefined,
  migrations: undefined,
  output: undefined,
  replicas: 24,
  kill: 5,
  drillSchema: "new",
  contrast: false,
  runner: undefined,
  json: false,
  logFormat: "auto",
  logLevel: "info",
  terminationLog: undefined,
  envFile: undefined,
};

/** Two good texts of each setting and what they mean; one that is wrong. Strings that any file path takes have none. */
// biome-ignore format: a table
const VALUES: { readonly [Name in SettingName]: readonly [text: string, value: Settings[Name], other: string, otherValue: Settings[Name], bad: string | undefined] } = {
  dir: ["./sql", "./sql", " /m ", "/m", undefined],
  ledger: ["ops.t", { schema: "ops", table: "t" }, '"T"', { schema: undefined, table: "T" }, `${SECRET} x`],
  databaseUrlFile: ["/run/url", "/run/url", "u", "u", undefined],
  direct: ["auto", "auto", "OFF", "off", SECRET],
  connectTimeout: ["500ms", 500, "7", 7000, "0"],
  allowCleartext: ["true", true, "no", false, SECRET],
  policy: ["exact", "exact", "At-Least", "at-least", SECRET],
  expectBundle: ["0123abcd", "0123abcd", " 89abcdef01 ", "89abcdef01", `${SECRET}ABCDEF`],
  timeout: ["2s", 2000, "1.5", 1500, "0s"],
  lockWait: ["15m", 900_000, "0", 0, `${SECRET}s`],
  lockTimeout: ["500ms", 500, "0", 0, "-1s"],
  deadline: ["1h", 3_600_000, "0", 0, "-1s"],
  stay: ["true", true, "no", false, SECRET],
  lockId: ["0012", 12n, "-9223372036854775808", -(2n ** 63n), "9223372036854775808"],
  reclaimOrphans: ["5m", 300_000, "90", 90_000, "0"],
  atomic: ["1", true, "off", false, SECRET],
  cancelOrphanedBuild: ["on", true, "false", false, SECRET],
  to: ["0012", 12, "0", 0, "1e3"],
  skipMigrations: ["yield", "yield", "true", "verify", SECRET],
  seed: ["rbac", "rbac", "NONE", "none", SECRET],
  seeds: ["./seeds", "./seeds", " /s ", "/s", undefined],
  roles: ["roles.json", "roles.json", " /r ", "/r", undefined],
  requireSeeds: ["true", true, "no", false, SECRET],
  seedFailure: ["warn", "warn", "Fail", "fail", SECRET],
  generatedPasswordFile: ["/run/password", "/run/password", " p ", "p", undefined],
  allowWeakPassword: ["on", true, "0", false, SECRET],
  requirePasswordChange: ["off", false, "1", true, SECRET],
  enableAdmin: ["true", true, "no", false, SECRET],
  assignOrphans: ["Yes", true, "off", false, SECRET],
  takeOwned: ["true", true, "0", false, SECRET],
  withoutConstraints: ["1", true, "no", false, SECRET],
  noLedger: ["true", true, "off", false, SECRET],
  exitCode: ["yes", true, "0", false, SECRET],
  applied: ["true", true, "no", false, SECRET],
  rolledBack: ["on", true, "0", false, SECRET],
  yes: ["1", true, "off", false, SECRET],
  force: ["Yes", true, "false", false, SECRET],
  sample: ["300ms", 300, "15", 15_000, "0s"],
  owner: ["init", "init", "APP", "app", SECRET],
  deliver: ["copy", "copy", "Sidecar", "sidecar", SECRET],
  job: ["helm", "helm", "ARGO", "argo", SECRET],
  name: ["billing-2", "billing-2", " b ", "b", `${SECRET}_x`],
  image: ["r.io:5000/a/b:1.0", "r.io:5000/a/b:1.0", "a@sha256:00", "a@sha256:00", `${SECRET} x`],
  appImage: ["a:1", "a:1", " b ", "b", `{{ ${SECRET} }}`],
  secret: ["db", "db", "a.b-c", "a.b-c", `${SECRET}_X`],
  urlKey: ["uri", "uri", " pgbouncer-uri ", "pgbouncer-uri", `${SECRET} x`],
  directUrlKey: ["uri", "uri", "a.b_c", "a.b_c", `${SECRET}/x`],
  pods: ["5", 5, "12", 12, "0"],
  jobDeadline: ["15m", 900_000, "30", 30_000, "1500ms"],
  probeTimeout: ["3s", 3000, "1", 1000, "0"],
  probePeriod: ["10s", 10_000, "1m", 60_000, `${SECRET}s`],
  probeFailures: ["60", 60, "200", 200, "1e3"],
  out: ["./chart", "./chart", " o ", "o", undefined],
  migrations: ["./sql", "./sql", " /m ", "/m", undefined],
  output: ["./next", "./next", " /n ", "/n", undefined],
  replicas: ["2", 2, "0048", 48, "1"],
  kill: ["0", 0, "1000", 1000, "1001"],
  drillSchema: ["existing", "existing", "NEW", "new", SECRET],
  contrast: ["true", true, "no", false, SECRET],
  runner: ["headgate_drill_0123456789ab.ledger", scratchOf("0123456789ab", undefined), "app.headgate_drill_0123456789ab_ledger", scratchOf("0123456789ab", "app"), "public.headgate_migrations"],
  json: ["on", true, "false", false, SECRET],
  logFormat: ["text", "text", "JSON", "json", SECRET],
  logLevel: ["debug", "debug", "Error", "error", SECRET],
  terminationLog: ["/t/a", "/t/a", "b", "b", undefined],
  envFile: ["/run/env", "/run/env", "e", "e", undefined],
};

function load(input: Partial<ConfigInput> = {}): Settings {
  return loadSettings({ command: "up", flags: {}, env: {}, readFile: () => "", ...input }).settings;
}

function refusal(input: Partial<ConfigInput>): HeadgateError {
  try {
    load(input);
  } catch (error) {
    if (error instanceof HeadgateError) return error;
    throw error;
  }
  throw new Error("the settings were loaded");
}

/** What a command has when it is told nothing. */
function defaultsOf(command: CommandName): Settings {
  return command === "wait" ? { ...DEFAULTS, deadline: 600_000 } : DEFAULTS;
}

function commandWith(name: SettingName): CommandName {
  const [command] = SETTINGS[name].commands;
  if (command === undefined) throw new Error(`no command has ${name}`);
  return command;
}

describe("loadSettings()", () => {
  test.each(Object.keys(COMMANDS) as CommandName[])(
    "has a default for everything, for %s",
    (command) => {
      expect(load({ command })).toEqual(defaultsOf(command));
    },
  );

  test.each(NAMES)("reads %s from its flag", (name) => {
    const [text, value, other, otherValue] = VALUES[name];
    const command = commandWith(name);
    expect(load({ command, flags: { [name]: text } })).toEqual({
      ...defaultsOf(command),
      [name]: value,
    });
    expect(load({ command, flags: { [name]: other } })).toEqual({
      ...defaultsOf(command),
      [name]: otherValue,
    });
  });

  const variables = NAMES.flatMap((name) =>
    SETTINGS[name].variables.map((variable): [string, SettingName] => [variable, name]),
  );
  test.each(variables)("reads the variable %s as %s; the flag wins", (variable, name) => {
    const [text, value, other, otherValue] = VALUES[name];
    const input = { command: commandWith(name), env: { [variable]: text } };
    expect(load(input)[name]).toEqual(value);
    expect(load({ ...input, flags: { [name]: other } })[name]).toEqual(otherValue);
  });

  test("gives every flag but the one that names a secret's file a HEADGATE_ variable of its name", () => {
    for (const { flag, variables: own } of Object.values(SETTINGS)) {
      const expected = `HEADGATE_${flag.toUpperCase().replaceAll("-", "_")}`;
      if (flag !== "database-url-file") expect(own[0]).toBe(expected);
    }
  });

  test("takes the first variable that is set and not empty", () => {
    const [first, second] = ["HEADGATE_SKIP_MIGRATIONS", "MCPGATEWAY_SKIP_MIGRATIONS"];
    expect(load({ env: { [first]: "yield", [second]: "true" } }).skipMigrations).toBe("yield");
    expect(load({ env: { [first]: "", [second]: "true" } }).skipMigrations).toBe("verify");
    expect(load({ env: { [first]: "false", [second]: "true" } }).skipMigrations).toBe("off");
  });

  test("takes an empty variable for a missing one", () => {
    const env = Object.fromEntries(variables.map(([variable]) => [variable, ""]));
    expect(load({ env })).toEqual(DEFAULTS);
  });

  test("ignores what the command does not have, even when it is wrong", () => {
    const env = { HEADGATE_LOCK_WAIT: "nonsense", HEADGATE_ATOMIC: "nonsense" };
    expect(load({ command: "probe", env })).toEqual(DEFAULTS);
    expect(load({ command: "probe", flags: { atomic: "true" } })).toEqual(DEFAULTS);
  });
});

describe("loadSettings() HEADGATE_SKIP_MIGRATIONS", () => {
  const table: readonly [text: string, then: Settings["skipMigrations"]][] = [
    ["1", "verify"],
    ["yes", "verify"],
    ["on", "verify"],
    ["true", "verify"],
    ["TRUE", "verify"],
    ["verify", "verify"],
    [" Verify ", "verify"],
    ["yield", "yield"],
    ["YIELD", "yield"],
    ["0", "off"],
    ["no", "off"],
    ["off", "off"],
    ["False", "off"],
    ["", "off"],
  ];
  test.each(table)("%p means %s", (text, then) => {
    expect(load({ env: { HEADGATE_SKIP_MIGRATIONS: text } }).skipMigrations).toBe(then);
    expect(load({ env: { MCPGATEWAY_SKIP_MIGRATIONS: text } }).skipMigrations).toBe(then);
  });

  test.each(["garbage", "2", "tru", "y", "yield please", " "])(
    "refuses %p: a guess could skip",
    (text) => {
      expect(refusal({ env: { MCPGATEWAY_SKIP_MIGRATIONS: text } })).toMatchObject({
        code: "config-invalid",
        message:
          "Cannot load settings: MCPGATEWAY_SKIP_MIGRATIONS must be true, false, verify or yield",
      });
    },
  );
});

describe("loadSettings() switches", () => {
  const spellings: readonly [text: string, value: boolean][] = [
    ["true", true],
    ["1", true],
    ["yes", true],
    ["on", true],
    ["TRUE", true],
    ["On", true],
    [" yes ", true],
    ["false", false],
    ["0", false],
    ["no", false],
    ["off", false],
    ["No", false],
  ];
  test.each(spellings)("%p is %p, by variable and by flag", (text, value) => {
    expect(load({ env: { HEADGATE_ATOMIC: text } }).atomic).toBe(value);
    expect(load({ flags: { atomic: text } }).atomic).toBe(value);
  });

  test.each(["2", "y", "t", "enabled", "truee"])("%p is neither", (text) => {
    expect(refusal({ flags: { atomic: text } }).message).toBe(
      "Cannot load settings: --atomic must be true or false",
    );
  });
});

describe("loadSettings() refuses", () => {
  const bad = NAMES.flatMap((name): [SettingName, string][] => {
    const text = VALUES[name][4];
    return text === undefined ? [] : [[name, text]];
  });

  test.each(bad)(
    "a wrong %s by flag and by variable, by name and without its value",
    (name, text) => {
      const command = commandWith(name);
      const [variable] = SETTINGS[name].variables;
      const byFlag = refusal({ command, flags: { [name]: text } });
      expect(byFlag.code).toBe("config-invalid");
      expect(byFlag.message).toStartWith(`Cannot load settings: --${SETTINGS[name].flag} must `);
      const byVariable = refusal({ command, env: { [variable ?? ""]: text } });
      expect(byVariable.message).toStartWith(`Cannot load settings: ${variable} must `);
      if (text.includes(SECRET)) {
        expect(
          `${byFlag.message} ${byFlag.hint} ${byVariable.message} ${byVariable.hint}`,
        ).not.toContain(SECRET);
      }
    },
  );

  test("everything that is wrong in one message", () => {
    const ours = bad.filter(([name]) => SETTINGS[name].commands.includes("up"));
    const flags = Object.fromEntries(ours) as Flags;
    const { message, code } = refusal({ flags, env: { HEADGATE_POLICY: SECRET } });
    expect(code).toBe("config-invalid");
    expect(message.split("; ")).toHaveLength(ours.length);
    for (const [name] of ours) expect(message).toContain(`--${SETTINGS[name].flag} must `);
    expect(message).not.toContain(SECRET);
    expect(message).not.toContain("HEADGATE_POLICY");
  });

  // biome-ignore format: a table
  const texts: readonly [name: SettingName, text: string, must: string][] = [
    ["ledger", "a.b.c", "must be a table name, with or without its schema"],
    ["ledger", "a".repeat(64), "must be a table name, with or without its schema"],
    ["direct", "on", "must be auto or off"],
    ["policy", "strict", "must be at-least or exact"],
    ["timeout", "0", "must be a duration above 0, such as 500ms or 3s"],
    ["connectTimeout", "fast", "must be a duration above 0, such as 500ms or 3s"],
    ["deadline", "1d", "must be a duration such as 500ms, 3s or 15m"],
    ["lockWait", "1e3", "must be a duration such as 500ms, 3s or 15m"],
    ["deadline", "720h", "must be a duration such as 500ms, 3s or 15m"],
    ["lockId", "1e3", "must be a 64-bit integer"],
    ["lockId", "0x10", "must be a 64-bit integer"],
    ["lockId", "1.0", "must be a 64-bit integer"],
    ["lockId", "-9223372036854775809", "must be a 64-bit integer"],
    ["to", "-1", "must be a version number"],
    ["to", "9007199254740992", "must be a version number"],
    ["seed", "true", "must be auto, rbac or none"],
    ["seedFailure", "ignore", "must be fail or warn"],
    ["requirePasswordChange", "never", "must be true or false"],
    ["logFormat", "xml", "must be auto, json or text"],
    ["logLevel", "trace", "must be debug, info, warn or error"],
  ];
  test.each(texts)("%s = %p", (name, text, must) => {
    expect(refusal({ command: commandWith(name), flags: { [name]: text } }).message).toBe(
      `Cannot load settings: --${SETTINGS[name].flag} ${must}`,
    );
  });
});

describe("loadSettings() env file", () => {
  const files: Strings = { "/run/env": "HEADGATE_POLICY=exact\nDATABASE_URL=postgres://file/x\n" };
  const readFile = (path: string): string | undefined => files[path];

  test("is read only when it is named", () => {
    expect(load({ readFile }).policy).toBe("at-least");
    expect(load({ readFile, flags: { envFile: "/run/env" } }).policy).toBe("exact");
    expect(load({ readFile, env: { HEADGATE_ENV_FILE: "/run/env" } }).policy).toBe("exact");
  });

  test("never wins over a variable that is set, but over one that is empty", () => {
    const flags = { envFile: "/run/env" };
    const loaded = (env: Strings) => loadSettings({ command: "up", flags, env, readFile });
    expect(loaded({ HEADGATE_POLICY: "at-least" }).settings.policy).toBe("at-least");
    expect(loaded({ HEADGATE_POLICY: "" }).settings.policy).toBe("exact");
    expect(loaded({ DATABASE_URL: "postgres://env/x" }).env["DATABASE_URL"]).toBe(
      "postgres://env/x",
    );
    expect(loaded({ DATABASE_URL: "" }).env["DATABASE_URL"]).toBe("postgres://file/x");
  });

  test("must exist when it is named, and is not shown", () => {
    const { message, code } = refusal({ readFile, flags: { envFile: `/run/${SECRET}` } });
    expect(code).toBe("config-invalid");
    expect(message).toBe("Cannot load settings: --env-file names a file that does not exist");
  });

  test("that is malformed is named by where it was named", () => {
    expect(
      refusal({ readFile: () => `A=1\n${SECRET}`, env: { HEADGATE_ENV_FILE: "e" } }).message,
    ).toBe(
      "Cannot load settings: line 2 of the file that HEADGATE_ENV_FILE names is not KEY=value",
    );
  });
});

test("READERS has one for every setting", () => {
  expect(Object.keys(READERS).sort()).toEqual([...NAMES].sort());
});
