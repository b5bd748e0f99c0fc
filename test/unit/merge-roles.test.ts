import { describe, expect, test } from "bun:test";
import { mergeRoles, roleKey } from "../../src/core/merge-roles.ts";
import type { RoleScope, RoleSpec } from "../../src/core/rbac.ts";

function role(name: string, scope: RoleScope, permissions: readonly string[]): RoleSpec {
  return { name, scope, permissions, description: `the file's ${name}`, isSystemRole: false };
}

const VIEWER: RoleSpec = {
  name: "viewer",
  scope: "team",
  permissions: ["tools.read", "teams.read"],
  description: "Read access",
  isSystemRole: true,
};
const ADMIN: RoleSpec = { ...VIEWER, name: "platform_admin", scope: "global", permissions: ["*"] };
const DEFAULTS = [ADMIN, VIEWER];

describe("mergeRoles()", () => {
  test("of no file is the defaults", () => {
    expect(mergeRoles(DEFAULTS, [])).toEqual(DEFAULTS);
  });

  test("replaces the permissions of a default, and nothing else of it", () => {
    const merged = mergeRoles(DEFAULTS, [role("viewer", "team", ["tools.execute"])]);
    expect(merged).toEqual([ADMIN, { ...VIEWER, permissions: ["tools.execute"] }]);
  });

  test("takes an empty list for what it is", () => {
    const merged = mergeRoles(DEFAULTS, [role("viewer", "team", [])]);
    expect(merged[1]?.permissions).toEqual([]);
  });

  test("appends the others in the file's order", () => {
    const [b, a] = [role("b", "team", []), role("a", "personal", ["llm.read"])];
    expect(mergeRoles(DEFAULTS, [b, role("viewer", "team", []), a])).toEqual([
      ADMIN,
      { ...VIEWER, permissions: [] },
      b,
      a,
    ]);
  });

  test("takes the same name in another scope for another role", () => {
    const global = role("viewer", "global", []);
    expect(mergeRoles(DEFAULTS, [global])).toEqual([ADMIN, VIEWER, global]);
  });

  test("changes neither list", () => {
    const file = [role("viewer", "team", [])];
    mergeRoles(DEFAULTS, file);
    expect(VIEWER.permissions).toHaveLength(2);
    expect(file).toEqual([role("viewer", "team", [])]);
  });
});

test("roleKey() tells roles apart by name and scope", () => {
  const keys = [role("a", "team", []), role("a", "global", []), role("A", "team", [])].map(roleKey);
  expect(new Set(keys).size).toBe(3);
  expect(roleKey(role("a", "team", ["*"]))).toBe(roleKey(role("a", "team", [])));
});
