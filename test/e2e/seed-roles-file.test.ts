/** A file of roles over the binary's own: added and overridden once, and refused as a whole. */
import { beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventOf, headgate, withUrl } from "../support/headgate.ts";
import { query, tablesOf } from "../support/query.ts";
import { permissionsOf, rolesOf, seed, VIEWER, written } from "../support/roles.ts";
import { createScratchFolder } from "../support/scratch.ts";
import { EXPECTED, seedCounts, type Template, templateAtHead } from "../support/seeds.ts";
import { useServers } from "../support/use-servers.ts";

const servers = useServers();
let template: Template;
beforeAll(async () => {
  template = await templateAtHead(servers.postgres);
}, 60_000);

async function seeded(): Promise<string> {
  const { url } = await template.copy();
  expect((await seed(url)).status).toBe(0);
  return url;
}

/** A file of additional roles. */
function rolesFile(roles: unknown): string {
  const file = join(createScratchFolder("roles"), "roles.json");
  writeFileSync(file, typeof roles === "string" ? roles : JSON.stringify(roles));
  return file;
}

describe("a roles file", () => {
  const OVERRIDE = [{ name: "viewer", scope: "team", permissions: ["tools.read", "a2a.read"] }];
  const MORE = [
    { name: "auditor", scope: "global", permissions: ["logs:read", "audit:read"], note: "ignored" },
    {
      name: "keeper",
      scope: "personal",
      description: "Keeps",
      permissions: [],
      is_system_role: true,
    },
  ];

  test("that overrides a default converges it once, and its removal restores it once", async () => {
    const url = await seeded();
    const given = ["--roles", rolesFile(OVERRIDE)];
    const changes: (readonly string[])[] = [];
    const states: unknown[] = [];
    for (const flags of [given, given, given, given, [], [], []]) {
      const run = await seed(url, ...flags);
      expect(run.status).toBe(0);
      changes.push(written(run));
      states.push(await rolesOf(url));
    }
    const converged = ["converge-role"];
    expect(changes).toEqual([converged, [], [], [], converged, [], []]);
    expect(states.slice(1, 4)).toEqual([states[0], states[0], states[0]]);
    expect(states.slice(5)).toEqual([states[4], states[4]]);
    const [viewer] = await query(url, VIEWER);
    expect(viewer).toMatchObject({
      is_system_role: true,
      permissions: [...(await permissionsOf("viewer"))].sort(),
    });
  });

  test("that is there from the start leaves nothing to converge", async () => {
    const { url } = await template.copy();
    const given = ["--roles", rolesFile(OVERRIDE)];
    expect(written(await seed(url, ...given))).not.toContain("converge-role");
    const [viewer] = await query(url, VIEWER);
    expect(viewer?.["permissions"]).toEqual(["tools.read", "a2a.read"]);
    expect((await seed(url, ...given)).stdout).toBe("Nothing to seed\n");
  });

  test.each([
    ["--roles", (file: string) => [["--roles", file], {}] as const],
    ["HEADGATE_ROLES", (file: string) => [[], { HEADGATE_ROLES: file }] as const],
    [
      "the gateway's two variables",
      (file: string) =>
        [
          [],
          {
            MCPGATEWAY_BOOTSTRAP_ROLES_IN_DB_ENABLED: "true",
            MCPGATEWAY_BOOTSTRAP_ROLES_IN_DB_FILE: file,
          },
        ] as const,
    ],
  ])("given by %s adds its roles beside the defaults", async (_how, give) => {
    const { url } = await template.copy();
    const [flags, env] = give(rolesFile(MORE));
    expect((await headgate(["up", ...flags], withUrl(url, env))).status).toBe(0);
    expect((await seedCounts(url)).roles).toEqual({
      ...EXPECTED.roles,
      "auditor (global)": 1,
      "keeper (personal)": 1,
    });
    const added = `select name, description, permissions, is_system_role, is_active from roles
where name in ('auditor', 'keeper') order by name`;
    const [auditor, keeper] = await query(url, added);
    expect(auditor).toEqual({
      name: "auditor",
      description: "",
      permissions: ["logs:read", "audit:read"],
      is_system_role: false,
      is_active: true,
    });
    expect(keeper).toMatchObject({ description: "Keeps", permissions: [], is_system_role: true });
  });

  test("leaves the roles that it added when it goes, and names the system role", async () => {
    const { url } = await template.copy();
    await seed(url, "--roles", rolesFile(MORE));
    const records = "select name from headgate_seeds order by name";
    expect(await query(url, records)).toEqual([{ name: "rbac" }, { name: "rbac-file" }]);
    const before = await rolesOf(url);
    const run = await seed(url);
    expect(eventOf(run, "seed.role-vanished")).toMatchObject({ role: "keeper (personal)" });
    expect(await rolesOf(url)).toEqual(before);
    expect(await query(url, records)).toEqual([{ name: "rbac" }]);
  });

  const bad: readonly [what: string, roles: unknown, problems: readonly string[]][] = [
    [
      "every problem",
      [
        { name: "", scope: "galaxy", permissions: ["tools.read", "tools.fly"] },
        "text",
        { name: "auditor", scope: "team", permissions: "tools.read" },
        { scope: "global", permissions: [], is_system_role: "yes" },
        { name: "twin", scope: "team", permissions: [] },
        { name: "twin", scope: "team", permissions: [] },
      ],
      [
        "[0].name",
        '[0].scope: "galaxy"',
        '[0].permissions[1]: "tools.fly"',
        "[1]",
        "[2].permissions",
        "[3].name",
        "[3].is_system_role",
        "[5]: the same name and scope as [4]",
      ],
    ],
    ["no list", { name: "auditor" }, ["must be a JSON array"]],
    ["no JSON", '[\n  {"name": }\n]', ["not JSON at line 2"]],
  ];
  test.each(bad)("with %s is refused before anything happens", async (_what, roles, problems) => {
    const { url } = await servers.postgres.createDatabase();
    for (const command of ["up", "seed"]) {
      const run = await headgate([command, "--roles", rolesFile(roles)], withUrl(url));
      expect(run.status).toBe(2);
      for (const problem of problems) {
        expect(eventOf(run, "command.failed")?.["reason"]).toContain(problem);
      }
    }
    expect(await tablesOf(url)).toEqual([]);
  });

  test("that is not there is refused, by its path", async () => {
    const url = await seeded();
    const run = await seed(url, "--roles", "/nowhere/roles.json");
    expect(run.status).toBe(2);
    expect(eventOf(run, "command.failed")?.["reason"]).toContain("/nowhere/roles.json");
  });
});
