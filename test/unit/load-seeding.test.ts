import { describe, expect, test } from "bun:test";
import { loadSeeds, type SeedWorld } from "../../src/cli/load-seeding.ts";
import type { Seeds } from "../../src/cli/run.ts";
import type { CommandName } from "../../src/config/commands.ts";
import { loadSettings } from "../../src/config/config.ts";
import type { Flags } from "../../src/config/read-settings.ts";
import { buildCustomSeeds, type CustomSeeds } from "../../src/core/custom-seeds.ts";
import { HeadgateError } from "../../src/core/error.ts";
import type { RoleSpec } from "../../src/core/rbac.ts";
import type { SeedMark } from "../../src/core/seed-mark.ts";
import type { Seeding } from "../../src/flow/seeding.ts";
import type { Vault } from "../../src/ports.ts";

type Strings = Readonly<Record<string, string>>;

const MARK: SeedMark = { name: "rbac", number: 7, fingerprint: "f" };
const VIEWER: RoleSpec = {
  name: "viewer",
  scope: "team",
  description: "Looks",
  permissions: ["tools.read"],
  isSystemRole: true,
};
const CUSTOM: CustomSeeds = buildCustomSeeds([{ file: "a.sql", text: "select 1" }]);
const VAULT: Vault = {
  hash: async () => "",
  generate: () => "",
  write: () => undefined,
  withdraw: () => undefined,
};
const ROLE = { name: "viewer", scope: "team", permissions: ["a2a.read"] };
const FILES: Strings = {
  "/roles.json": JSON.stringify([ROLE]),
  "/same.json": JSON.stringify([{ ...ROLE, description: "", is_system_role: false }], null, 4),
  "/other.json": JSON.stringify([{ ...ROLE, permissions: ["*"] }]),
  "/more.json": JSON.stringify([ROLE, { ...ROLE, name: "auditor" }]),
  "/empty.json": "[]",
};

interface Loaded extends Seeds {
  /** What was asked of the world. */
  readonly asked: readonly string[];
}

async function load(command: CommandName, flags: Flags = {}, env: Strings = {}): Promise<Loaded> {
  const asked: string[] = [];
  const { settings } = loadSettings({ command, flags, env, readFile: () => undefined });
  const world: SeedWorld = {
    env,
    readFile: (path) => FILES[path],
    mark: MARK,
    loadSpec: async () => {
      asked.push("roles");
      return { number: 7, roles: [VIEWER] };
    },
    readSeeds: async (folder) => {
      if (folder === undefined) return undefined;
      asked.push(folder);
      return CUSTOM;
    },
    createVault: (cost) => {
      asked.push(JSON.stringify(cost));
      return VAULT;
    },
  };
  return { ...(await loadSeeds(command, settings, world)), asked };
}

async function seeding(command: CommandName, flags?: Flags, env?: Strings): Promise<Seeding> {
  const loaded = await load(command, flags, env);
  expect(loaded.required).toBeUndefined();
  if (!loaded.seeding) throw new Error("nothing is seeded");
  return loaded.seeding;
}

describe("loadSeeds() for commands that seed", () => {
  test("has a default for everything", async () => {
    const { wish, ...others } = await seeding("up");
    expect(others).toEqual({
      mode: "auto",
      marks: [MARK],
      custom: undefined,
      withoutConstraints: false,
      password: { given: undefined, file: undefined, allowsWeak: false },
      vault: VAULT,
      onFailure: "fail",
    });
    expect(wish.accounts).toMatchObject({
      roles: [VIEWER],
      orphans: "leave",
      admin: { mustChangePassword: true, isEnabled: false },
    });
  });

  // biome-ignore format: a table
  const modes: readonly [command: CommandName, flags: Flags, then: Seeding["mode"] | undefined][] = [
    ["up", {}, "auto"],
    ["up", { seed: "rbac" }, "rbac"],
    ["up", { seed: "none" }, undefined],
    ["up", { seeds: "/s" }, "auto"],
    ["up", { seed: "rbac", seeds: "/s" }, "rbac"],
    ["up", { skipMigrations: "verify" }, undefined],
    ["up", { skipMigrations: "verify", seed: "rbac" }, "rbac"],
    ["up", { skipMigrations: "verify", seed: "none" }, undefined],
    ["up", { skipMigrations: "verify", seeds: "/s" }, undefined],
    ["up", { skipMigrations: "false", seed: "auto" }, "auto"],
    ["seed", {}, "rbac"],
    ["seed", { noLedger: "true" }, "rbac"],
    ["seed", { seeds: "/s" }, "auto"],
    ["plan", {}, "auto"],
    ["plan", { seed: "rbac" }, "rbac"],
    ["plan", { seed: "none" }, undefined],
  ];
  test.each(modes)("%s %j: %p", async (command, flags, then) => {
    const loaded = await load(command, flags);
    expect(loaded.seeding?.mode).toBe(then as Seeding["mode"]);
    if (then === undefined) expect(loaded.asked).toEqual([]);
  });

  test("hands on what flags and variables say", async () => {
    const flags = {
      seeds: "/s",
      seedFailure: "warn",
      allowWeakPassword: "true",
      generatedPasswordFile: "/run/p",
      requirePasswordChange: "false",
      assignOrphans: "true",
      takeOwned: "true",
      withoutConstraints: "true",
    };
    const env = { PLATFORM_ADMIN_PASSWORD: "given", PLATFORM_ADMIN_EMAIL: "Root@Corp.io" };
    const found = await seeding("up", flags, env);
    expect(found).toMatchObject({
      custom: CUSTOM,
      onFailure: "warn",
      withoutConstraints: true,
      password: { given: "given", file: "/run/p", allowsWeak: true },
    });
    expect(found.wish.accounts).toMatchObject({
      admin: { email: "root@corp.io", mustChangePassword: false, isEnabled: false },
      orphans: "all",
    });
    const enabled = await seeding("seed", { enableAdmin: "true", assignOrphans: "true" }, env);
    expect(enabled.wish.accounts).toMatchObject({
      admin: { isEnabled: true },
      orphans: "ownerless",
    });
  });

  test("asks for a hash of the cost that the gateway's variables name, and for the folder", async () => {
    const env = {
      ARGON2ID_TIME_COST: "2",
      ARGON2ID_MEMORY_COST: "16",
      ARGON2ID_PARALLELISM: "1",
    };
    const { asked } = await load("up", { seeds: "/s" }, env);
    expect(asked).toEqual(["roles", "/s", '{"passes":2,"memoryKib":16,"parallelism":1}']);
  });

  test("wishes for no accounts where the gateway has none, and keeps the marks", async () => {
    const found = await seeding("seed", {}, { EMAIL_AUTH_ENABLED: "false" });
    expect(found.wish).toEqual({ accounts: undefined });
    expect(found.marks).toEqual([MARK]);
  });

  test("lays a file's roles over those of the binary", async () => {
    const found = await seeding("up", { roles: "/more.json" });
    expect(found.wish.accounts?.roles).toEqual([
      { ...VIEWER, permissions: ["a2a.read"] },
      {
        ...VIEWER,
        name: "auditor",
        description: "",
        permissions: ["a2a.read"],
        isSystemRole: false,
      },
    ]);
  });

  test("marks a roles file by what it defines, not by how it is written", async () => {
    const marks = async (roles: string): Promise<Seeding["marks"]> =>
      (await seeding("up", { roles })).marks;
    const [rbac, file] = await marks("/roles.json");
    expect(rbac).toEqual(MARK);
    expect(file).toMatchObject({ name: "rbac-file", number: 0 });
    expect(file?.fingerprint).toMatch(/^[0-9a-f]{64}$/);
    expect(await marks("/same.json")).toEqual([MARK, file as SeedMark]);
    const others = [
      await marks("/other.json"),
      await marks("/more.json"),
      await marks("/empty.json"),
    ];
    const fingerprints = [file, ...others.map(([, mark]) => mark)].map((mark) => mark?.fingerprint);
    expect(new Set(fingerprints).size).toBe(4);
  });

  const bad = { PLATFORM_ADMIN_EMAIL: "nobody" };
  test("judges the gateway's variables only where something is seeded", async () => {
    await expect(load("up", {}, bad)).rejects.toMatchObject({ code: "config-invalid" });
    expect((await load("up", { seed: "none" }, bad)).seeding).toBeUndefined();
    expect((await load("up", { skipMigrations: "verify" }, bad)).seeding).toBeUndefined();
  });
});

describe("loadSeeds() refuses", () => {
  const password = { PLATFORM_ADMIN_PASSWORD: "given" };
  interface Case {
    readonly command?: CommandName;
    readonly flags: Flags;
    readonly env?: Strings;
    readonly hint?: string;
  }
  // biome-ignore format: a table
  const table: readonly [then: string, given: Case][] = [
    ["--enable-admin has no password to give", { command: "seed", flags: { enableAdmin: "true" }, hint: "Set PLATFORM_ADMIN_PASSWORD or pass --generated-password-file FILE" }],
    ["--take-owned has no effect without --assign-orphans", { flags: { takeOwned: "true" }, hint: "Pass both" }],
    ["--take-owned has no effect without --assign-orphans", { command: "plan", flags: { takeOwned: "true" } }],
    ["seed files need a ledger, beside which is recorded what has run", { command: "seed", flags: { noLedger: "true", seeds: "/s" }, hint: "Leave out --no-ledger, or --seeds where it is given" }],
    ["--roles names a file that does not exist: /gone", { flags: { roles: "/gone" } }],
  ];
  test.each(table)("%s", async (then, { command = "up", flags, env, hint }) => {
    const error = await load(command, flags, env).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(HeadgateError);
    expect(error).toMatchObject({
      code: "config-invalid",
      message: `Cannot load settings: ${then}`,
      ...(hint === undefined ? {} : { hint }),
    });
  });

  // biome-ignore format: a table
  const allowed: readonly [when: string, given: Case][] = [
    ["--enable-admin with a password", { command: "seed", flags: { enableAdmin: "true" }, env: password }],
    ["--enable-admin with a file for one", { command: "seed", flags: { enableAdmin: "true", generatedPasswordFile: "/p" } }],
    ["--take-owned with --assign-orphans", { flags: { takeOwned: "true", assignOrphans: "true" } }],
    ["--assign-orphans without --take-owned", { flags: { assignOrphans: "true" } }],
    ["--no-ledger without --seeds", { command: "seed", flags: { noLedger: "true" } }],
    ["--seeds with a ledger", { command: "seed", flags: { seeds: "/s" } }],
  ];
  test.each(allowed)("not %s", async (_when, { command = "up", flags, env }) => {
    expect((await load(command, flags, env)).seeding).toBeDefined();
  });
});

describe("loadSeeds() for commands that only ask", () => {
  const asking = ["probe", "status"] as const;

  test.each(asking)("%s requires seeds only when told, and never seeds", async (command) => {
    expect(await load(command)).toEqual({ required: undefined, asked: [] });
    expect(await load(command, { requireSeeds: "false", seed: "rbac" })).toMatchObject({
      asked: [],
    });
    expect(await load(command, { requireSeeds: "true" })).toEqual({
      required: { mode: "auto", rbac: [MARK], custom: undefined },
      asked: [],
    });
  });

  test.each(asking)("%s requires nothing where nothing is seeded", async (command) => {
    const flags = { requireSeeds: "true", seed: "none", seeds: "/s" };
    expect(await load(command, flags)).toEqual({ required: undefined, asked: [] });
  });

  test.each(asking)("%s requires what the same flags seed", async (command) => {
    const flags = { seed: "rbac", seeds: "/s", roles: "/roles.json" };
    const { required, asked } = await load(command, { ...flags, requireSeeds: "true" });
    const { marks, custom } = await seeding("up", flags);
    expect(required).toEqual({ mode: "rbac", rbac: marks, custom: custom?.mark });
    expect(asked).toEqual(["/s"]);
  });
});
