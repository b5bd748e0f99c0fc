/** Roles follow the definition that the binary carries. Each change is written once. */
import { beforeAll, describe, expect, test } from "bun:test";
import { eventOf, headgate, withUrl } from "../support/headgate.ts";
import { query } from "../support/query.ts";
import { permissionsOf, rolesOf, seed, VIEWER, written } from "../support/roles.ts";
import { type Template, templateAtHead } from "../support/seeds.ts";
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

describe("a system role", () => {
  test.each([
    ["fewer", '["tools.read"]'],
    ["more and other", '["tools.read", "tools.delete", "nobody.knows"]'],
    ["no", "[]"],
    ["unreadable", '{"not": "a list"}'],
  ])("with %s permissions gets its own, sorted, once", async (_what, permissions) => {
    const url = await seeded();
    await query(
      url,
      `update roles set permissions = '${permissions}', description = 'Theirs',
  updated_at = '2020-01-01' where name = 'viewer'`,
    );
    const [before] = await query(url, VIEWER);
    const run = await seed(url);
    expect([run.status, written(run)]).toEqual([0, ["converge-role"]]);
    const [after] = await query(url, VIEWER);
    expect(after).toEqual({
      ...before,
      permissions: [...(await permissionsOf("viewer"))].sort(),
      updated_at: expect.any(Date),
    });
    expect(after?.["updated_at"]).not.toEqual(before?.["updated_at"]);
    const settled = await rolesOf(url);
    for (const command of ["seed", "up"]) {
      expect(written(await headgate([command], withUrl(url)))).toEqual([]);
      expect(await rolesOf(url)).toEqual(settled);
    }
  });

  test("says what it gains and what it loses", async () => {
    const url = await seeded();
    await query(
      url,
      `update roles set permissions = (permissions::jsonb - 'tools.read' || '["tools.delete"]')::json
where name = 'viewer'`,
    );
    expect(eventOf(await seed(url), "seed.written")?.["what"]).toBe(
      "viewer (team): +tools.read -tools.delete",
    );
  });

  test("with the same permissions in another order stays as it is", async () => {
    const url = await seeded();
    const reversed = JSON.stringify([...(await permissionsOf("viewer"))].reverse());
    await query(url, `update roles set permissions = '${reversed}' where name = 'viewer'`);
    const before = await rolesOf(url);
    expect((await seed(url)).stdout).toBe("Nothing to seed\n");
    expect(await rolesOf(url)).toEqual(before);
  });

  test("that no definition names any more is reported at every run, and stays", async () => {
    const url = await seeded();
    await query(
      url,
      `insert into roles (id, name, scope, permissions, created_by, is_system_role)
values ('1', 'auditor', 'global', '["audit:read"]', 'admin@example.com', true)`,
    );
    const before = await rolesOf(url);
    for (const command of ["seed", "up", "seed"]) {
      const run = await headgate([command], withUrl(url));
      expect(run.status).toBe(0);
      const vanished = run.events.filter(({ event }) => event === "seed.role-vanished");
      expect(vanished).toMatchObject([{ level: "warn", role: "auditor (global)" }]);
      expect(await rolesOf(url)).toEqual(before);
    }
  });
});

test("a role of that name that is no system role is left alone", async () => {
  const url = await seeded();
  await query(
    url,
    `update roles set is_system_role = false, permissions = '["tools.read"]' where name = 'viewer'`,
  );
  const before = await rolesOf(url);
  expect((await seed(url)).stdout).toBe("Nothing to seed\n");
  expect(await rolesOf(url)).toEqual(before);
});

test("a role that was retired comes back as a new one", async () => {
  const url = await seeded();
  await query(url, "update roles set is_active = false where name = 'viewer'");
  expect(written(await seed(url))).toEqual(["create-role"]);
  expect(await query(url, "select is_active from roles where name = 'viewer' order by 1")).toEqual([
    { is_active: false },
    { is_active: true },
  ]);
});
