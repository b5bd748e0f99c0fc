import { describe, expect, test } from "bun:test";
import { PERMISSIONS } from "../../src/core/permission.ts";
import seed from "../../src/embed/rbac-seed.json" with { type: "json" };

describe("PERMISSIONS", () => {
  test("has 76 and the wildcard", () => {
    expect(PERMISSIONS.has("*")).toBe(true);
    expect(PERMISSIONS.size).toBe(76 + 1);
  });

  test("has nothing but words with a dot or a colon between them", () => {
    const odd = [...PERMISSIONS].filter((name) => !/^[a-z0-9]+([.:][a-z_]+){1,2}$/.test(name));
    expect(odd).toEqual(["*"]);
  });

  test.each(seed.roles)("knows every permission of the default role $name", ({ permissions }) => {
    expect(permissions.filter((name) => !PERMISSIONS.has(name))).toEqual([]);
  });

  const table: readonly [name: string, isKnown: boolean][] = [
    ["a2a.invoke", true],
    ["admin.system_config", true],
    ["admin.oauth_clients:delete", true],
    ["admin.sso_providers:update", true],
    ["metrics:read", true],
    ["tools.manage_plugins", true],
    ["metrics.read", false],
    ["admin.oauth_clients.delete", false],
    ["galaxy.read", false],
    ["Tools.read", false],
    ["tools.*", false],
    ["", false],
  ];
  test.each(table)("%p: %p", (name, isKnown) => {
    expect(PERMISSIONS.has(name)).toBe(isKnown);
  });
});
