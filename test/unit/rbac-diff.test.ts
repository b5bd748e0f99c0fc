import { describe, expect, test } from "bun:test";
import { HeadgateError } from "../../src/core/error.ts";
import type { FoundOrphan } from "../../src/core/orphan.ts";
import type {
  AccountsWish,
  FoundGrant,
  FoundRole,
  RbacChange,
  RbacFound,
  RbacPlan,
  RoleSpec,
} from "../../src/core/rbac.ts";
import { diffRbac, needsPassword } from "../../src/core/rbac-diff.ts";
import { describeChange } from "../../src/core/rbac-text.ts";

const EMAIL = "admin@example.com";
const VIEWER: RoleSpec = {
  name: "viewer",
  scope: "team",
  description: "Looks",
  permissions: ["tools.read", "a2a.read"],
  isSystemRole: true,
};
const ROOT: RoleSpec = { ...VIEWER, name: "platform_admin", scope: "global", permissions: ["*"] };

const ACCOUNTS: AccountsWish = {
  admin: { email: EMAIL, fullName: "Admin", mustChangePassword: true, isEnabled: false },
  roles: [ROOT, VIEWER],
  team: { name: "Mine", slug: "mine" },
  grants: [
    { role: "platform_admin", scope: "global" },
    { role: "viewer", scope: "team" },
  ],
  orphans: "ownerless",
  separator: "-",
};

const NOTHING: RbacFound = {
  strayTeams: [],
  admin: undefined,
  roles: [],
  team: undefined,
  teamSlugs: [],
  grants: [],
  orphans: { rows: [], taken: [] },
};

function foundRole(spec: RoleSpec, changes: Partial<FoundRole> = {}): FoundRole {
  const { name, scope, permissions, isSystemRole } = spec;
  return { id: `${name} (${scope})`, name, scope, permissions, isSystemRole, ...changes };
}

function foundGrant(spec: RoleSpec, changes: Partial<FoundGrant> = {}): FoundGrant {
  const { scope } = spec;
  const scopeId = scope === "team" ? "t1" : null;
  const id = `grant of ${spec.name}`;
  return { id, roleId: foundRole(spec).id, scope, scopeId, isExpired: false, ...changes };
}

const EVERYTHING: RbacFound = {
  ...NOTHING,
  admin: { isAdmin: true, isDisabled: false },
  roles: [foundRole(ROOT), foundRole(VIEWER)],
  team: { id: "t1", hasMember: true, hasHistory: true },
  teamSlugs: ["mine"],
  grants: [foundGrant(ROOT), foundGrant(VIEWER)],
};

const ORPHAN: FoundOrphan = {
  table: "servers",
  id: "s1",
  value: "x",
  customName: null,
  gatewayName: null,
  teamId: null,
  ownerEmail: null,
  visibility: "private",
};

interface Given {
  readonly wish?: Partial<AccountsWish>;
  readonly found?: Partial<RbacFound>;
}

function plan({ wish, found }: Given): RbacPlan {
  return diffRbac({ accounts: { ...ACCOUNTS, ...wish } }, { ...EVERYTHING, ...found });
}

/** `kind what`, in the order of the writes. */
function lines({ changes }: RbacPlan): readonly string[] {
  return changes.map((change) => `${change.kind} ${describeChange(change)}`);
}

function failure(given: Given): HeadgateError {
  try {
    plan(given);
  } catch (error) {
    if (error instanceof HeadgateError) return error;
    throw error;
  }
  throw new Error("there was a plan");
}

describe("diffRbac()", () => {
  test("of rows that are as they shall be is empty", () => {
    expect(plan({})).toEqual({
      changes: [],
      roles: EVERYTHING.roles,
      teamId: "t1",
      vanishedRoles: [],
    });
  });

  test("of an empty database has everything, and each row after those it names", () => {
    const strayTeams = [{ id: "t9", name: "Old", visibility: "team" }];
    const orphans = { rows: [ORPHAN], taken: [] };
    const whole = diffRbac({ accounts: ACCOUNTS }, { ...NOTHING, strayTeams, orphans });
    expect(lines(whole)).toEqual([
      'normalise-team team "Old", visibility "team" becomes private',
      "create-admin admin@example.com",
      "create-role platform_admin (global), 1 permission",
      "create-role viewer (team), 2 permissions",
      "create-team Mine (mine)",
      "add-member owner of the personal team",
      "add-history owner of the personal team",
      "grant-role platform_admin, everywhere",
      "grant-role viewer, on the personal team",
      'assign-orphan servers "x", public',
    ]);
    expect(whole).toMatchObject({ roles: [], teamId: undefined, vanishedRoles: [] });
  });

  test("without accounts is about team visibility alone", () => {
    const strayTeams = [{ id: "t9", name: "Old", visibility: "team" }];
    const found = { ...NOTHING, strayTeams, roles: [foundRole({ ...VIEWER, name: "old" })] };
    const { roles } = found;
    expect(diffRbac({ accounts: undefined }, found)).toEqual({
      changes: [{ kind: "normalise-team", team: { id: "t9", name: "Old", visibility: "team" } }],
      roles,
      teamId: undefined,
      vanishedRoles: [],
    });
    expect(diffRbac({ accounts: undefined }, NOTHING).changes).toEqual([]);
  });

  const isEnabled = { ...ACCOUNTS, admin: { ...ACCOUNTS.admin, isEnabled: true } };
  const disabled = { isAdmin: true, isDisabled: true };
  const stranger = foundGrant(VIEWER, { roleId: "another's" });
  // biome-ignore format: a table
  const table: readonly [when: string, given: Given, then: readonly string[]][] = [
    ["admin without the rights", { found: { admin: { isAdmin: false, isDisabled: false } } }, ["promote-admin admin@example.com"]],
    ["admin without a password", { found: { admin: disabled } }, []],
    ["admin without a password who is to get one", { wish: isEnabled, found: { admin: disabled } }, ["set-password admin@example.com"]],
    ["admin without rights and password", { wish: isEnabled, found: { admin: { ...disabled, isAdmin: false } } }, ["promote-admin admin@example.com", "set-password admin@example.com"]],
    ["admin with a password who is to get one", { wish: isEnabled }, []],
    ["missing role", { wish: { grants: [] }, found: { roles: [foundRole(ROOT)] } }, ["create-role viewer (team), 2 permissions"]],
    ["role of another scope", { wish: { grants: [] }, found: { roles: [foundRole(ROOT), foundRole(VIEWER, { scope: "global" })] } }, ["create-role viewer (team), 2 permissions"]],
    ["system role with a missing permission", { found: { roles: [foundRole(ROOT), foundRole(VIEWER, { permissions: ["a2a.read"] })] } }, ["converge-role viewer (team): +tools.read"]],
    ["system role with one too many", { found: { roles: [foundRole(ROOT), foundRole(VIEWER, { permissions: ["tools.read", "a2a.read", "x", "x"] })] } }, ["converge-role viewer (team): -x"]],
    ["system role with another one", { found: { roles: [foundRole(ROOT), foundRole(VIEWER, { permissions: ["tools.read", "x"] })] } }, ["converge-role viewer (team): +a2a.read -x"]],
    ["system role without any", { found: { roles: [foundRole(ROOT), foundRole(VIEWER, { permissions: [] })] } }, ["converge-role viewer (team): +a2a.read +tools.read"]],
    ["system role whose permissions are in another order", { found: { roles: [foundRole(ROOT), foundRole(VIEWER, { permissions: ["a2a.read", "tools.read"] })] } }, []],
    ["system role that has some twice", { found: { roles: [foundRole(ROOT), foundRole(VIEWER, { permissions: ["a2a.read", "tools.read", "a2a.read"] })] } }, []],
    ["role of people's with other permissions", { found: { roles: [foundRole(ROOT), foundRole(VIEWER, { permissions: ["x"], isSystemRole: false })] } }, []],
    ["duplicate of a role", { found: { roles: [foundRole(ROOT), foundRole(VIEWER), foundRole(VIEWER, { id: "younger", permissions: ["x"] })] } }, []],
    ["duplicate whose older one is wrong", { found: { roles: [foundRole(ROOT), foundRole(VIEWER, { permissions: ["x"] }), foundRole(VIEWER, { id: "younger" })] } }, ["converge-role viewer (team): +a2a.read +tools.read -x"]],
    ["missing team, with grants on it", { found: { team: undefined, teamSlugs: [] } }, ["create-team Mine (mine)", "add-member owner of the personal team", "add-history owner of the personal team", "grant-role viewer, on the personal team"]],
    ["missing team that is not wanted", { wish: { team: undefined }, found: { team: undefined } }, []],
    ["team that is not wanted but there", { wish: { team: undefined }, found: { grants: [] } }, ["grant-role platform_admin, everywhere", "grant-role viewer, on the personal team"]],
    ["team without its owner", { found: { team: { id: "t1", hasMember: false, hasHistory: false } } }, ["add-member owner of the personal team", "add-history owner of the personal team"]],
    ["team whose owner left", { found: { team: { id: "t1", hasMember: false, hasHistory: true } } }, ["add-member owner of the personal team", "add-history owner of the personal team"]],
    ["team whose owner has no history", { found: { team: { id: "t1", hasMember: true, hasHistory: false } } }, ["add-history owner of the personal team"]],
    ["slug that is taken", { found: { team: undefined, teamSlugs: ["mine", "mine-mine"], grants: EVERYTHING.grants } }, ["create-team Mine (mine-2)", "add-member owner of the personal team", "add-history owner of the personal team", "grant-role viewer, on the personal team"]],
    ["slug that is taken twice", { wish: { grants: [] }, found: { team: undefined, teamSlugs: ["mine-2", "mine", "mine-4"] } }, ["create-team Mine (mine-3)", "add-member owner of the personal team", "add-history owner of the personal team"]],
    ["number that is taken and the slug is not", { wish: { grants: [] }, found: { team: undefined, teamSlugs: ["mine-2"] } }, ["create-team Mine (mine)", "add-member owner of the personal team", "add-history owner of the personal team"]],
    ["missing grant everywhere", { found: { grants: [foundGrant(VIEWER)] } }, ["grant-role platform_admin, everywhere"]],
    ["missing grant on the team", { found: { grants: [foundGrant(ROOT)] } }, ["grant-role viewer, on the personal team"]],
    ["grant on another team", { found: { grants: [foundGrant(ROOT), foundGrant(VIEWER, { scopeId: "t2" })] } }, ["grant-role viewer, on the personal team"]],
    ["grant everywhere that names a team", { found: { grants: [foundGrant(ROOT, { scopeId: "t1" }), foundGrant(VIEWER)] } }, ["grant-role platform_admin, everywhere"]],
    ["grant of another scope", { found: { grants: [foundGrant(ROOT), foundGrant(VIEWER, { scope: "global" })] } }, ["grant-role viewer, on the personal team"]],
    ["grant of another role", { found: { grants: [foundGrant(ROOT), stranger] } }, ["grant-role viewer, on the personal team"]],
    ["expired grant", { found: { grants: [foundGrant(ROOT, { isExpired: true }), foundGrant(VIEWER)] } }, ["retire-grant expired grant of platform_admin", "grant-role platform_admin, everywhere"]],
    ["expired grants, all of them", { found: { grants: [foundGrant(ROOT), foundGrant(VIEWER, { isExpired: true }), foundGrant(VIEWER, { isExpired: true })] } }, ["retire-grant expired grant of viewer", "retire-grant expired grant of viewer", "grant-role viewer, on the personal team"]],
    ["expired grant beside one that holds", { found: { grants: [foundGrant(ROOT, { isExpired: true }), foundGrant(ROOT), foundGrant(VIEWER)] } }, []],
    ["expired grant of another role", { found: { grants: [...EVERYTHING.grants, { ...stranger, isExpired: true }] } }, []],
    ["grants that are there twice", { found: { grants: [...EVERYTHING.grants, ...EVERYTHING.grants] } }, []],
    ["orphan", { found: { orphans: { rows: [ORPHAN], taken: [] } } }, ['assign-orphan servers "x", public']],
    ["orphan whose name the admin has on that team", { found: { orphans: { rows: [ORPHAN], taken: [{ table: "servers", teamId: "t1", value: "x" }] } } }, ['assign-orphan servers "x" renamed "x-2", public']],
    ["orphan that is to be left", { wish: { orphans: "leave" }, found: { orphans: { rows: [ORPHAN], taken: [] } } }, []],
    ["orphan, and a team that is made for it", { wish: { grants: [] }, found: { team: undefined, teamSlugs: [], orphans: { rows: [ORPHAN], taken: [] } } }, ["create-team Mine (mine)", "add-member owner of the personal team", "add-history owner of the personal team", 'assign-orphan servers "x", public']],
    ["orphan, and neither team nor wish for one", { wish: { team: undefined, grants: [] }, found: { team: undefined, orphans: { rows: [ORPHAN], taken: [] } } }, []],
    ["grant of a role that only the database has", { wish: { roles: [ROOT] } }, []],
    ["grant of a role that is only wished for", { wish: { grants: ACCOUNTS.grants.slice(1) }, found: { roles: [foundRole(ROOT)], grants: [foundGrant(ROOT)] } }, ["create-role viewer (team), 2 permissions", "grant-role viewer, on the personal team"]],
  ];
  test.each(table)("of: %s", (_when, given, then) => {
    expect(lines(plan(given))).toEqual([...then]);
  });

  test("holds a grant by any of several equal roles for held", () => {
    const roles = [foundRole(ROOT), foundRole(VIEWER), foundRole(VIEWER, { id: "younger" })];
    const grants = [foundGrant(ROOT), foundGrant(VIEWER, { roleId: "younger" })];
    expect(plan({ found: { roles, grants } }).changes).toEqual([]);
    const expired = grants.map((grant) => ({ ...grant, isExpired: true }));
    expect(lines(plan({ found: { roles, grants: expired } }))).toEqual([
      "retire-grant expired grant of platform_admin",
      "grant-role platform_admin, everywhere",
      "retire-grant expired grant of viewer",
      "grant-role viewer, on the personal team",
    ]);
  });

  test("converges the oldest of equal roles to each permission once, sorted", () => {
    const oldest = foundRole(VIEWER, { id: "oldest", permissions: ["x"] });
    const wished = { ...VIEWER, permissions: ["tools.read", "a2a.read", "tools.read"] };
    const found = { roles: [foundRole(ROOT), oldest, foundRole(VIEWER)], grants: [] };
    expect(plan({ wish: { roles: [ROOT, wished], grants: [] }, found }).changes).toEqual([
      { kind: "converge-role", role: oldest, permissions: ["a2a.read", "tools.read"] },
    ]);
  });

  test("creates a role as it was defined: its order is the definition's", () => {
    const changes = plan({ wish: { grants: [] }, found: { roles: [foundRole(ROOT)] } }).changes;
    expect(changes).toEqual([{ kind: "create-role", role: VIEWER }]);
  });

  test("hands over the roles and the team that it found, for the writes to build upon", () => {
    const roles = [foundRole(VIEWER), foundRole(ROOT)];
    expect(plan({ found: { roles } })).toMatchObject({ roles, teamId: "t1" });
  });
});

describe("diffRbac() names vanished roles:", () => {
  const old = { ...VIEWER, name: "old" };
  const table: readonly [when: string, roles: readonly FoundRole[], then: readonly string[]][] = [
    ["a system role of another name", [foundRole(old)], ["old (team)"]],
    [
      "a system role of another scope",
      [foundRole(VIEWER, { scope: "global" })],
      ["viewer (global)"],
    ],
    ["one that is there twice, once", [foundRole(old), foundRole(old)], ["old (team)"]],
    ["no role of people's", [foundRole({ ...old, isSystemRole: false })], []],
  ];
  test.each(table)("%s", (_when, roles, then) => {
    const { vanishedRoles, changes } = plan({ found: { roles: [...EVERYTHING.roles, ...roles] } });
    expect(vanishedRoles).toEqual([...then]);
    expect(changes).toEqual([]);
  });
});

describe("diffRbac() refuses to grant a role that is nowhere defined", () => {
  const grants = [{ role: 'no"body', scope: "global" }] as const;

  test("and says which variable names it", () => {
    const { code, message, hint } = failure({ wish: { grants } });
    expect(code).toBe("seed-failed");
    expect(message).toBe(
      'Cannot grant the role "no\\"body": no global role of that name is defined',
    );
    expect(hint).toContain("DEFAULT_ADMIN_ROLE");
    expect(hint).toContain("DEFAULT_TEAM_OWNER_ROLE");
  });

  test("or is one of another scope", () => {
    const viewer = [{ role: "viewer", scope: "global" }] as const;
    expect(failure({ wish: { grants: viewer } }).message).toContain("no global role");
  });

  test("but not when it would be on a team that is not there", () => {
    const nobody = [{ role: "nobody", scope: "team" }] as const;
    const found = { team: undefined };
    expect(plan({ wish: { grants: nobody, team: undefined }, found }).changes).toEqual([]);
    expect(failure({ wish: { grants: nobody }, found }).code).toBe("seed-failed");
  });
});

describe("needsPassword()", () => {
  const kinds: Readonly<Record<RbacChange["kind"], boolean>> = {
    "normalise-team": false,
    "create-admin": true,
    "set-password": true,
    "promote-admin": false,
    "create-role": false,
    "converge-role": false,
    "create-team": false,
    "add-member": false,
    "add-history": false,
    "retire-grant": false,
    "grant-role": false,
    "assign-orphan": false,
  };
  const member: RbacChange = { kind: "add-member" };
  test.each(Object.entries(kinds))("for %s: %p", (kind, then) => {
    expect(needsPassword([member, { kind } as RbacChange, member])).toBe(then);
  });

  test("for nothing: false", () => {
    expect(needsPassword([])).toBe(false);
  });
});

describe("describeChange()", () => {
  test("is one line, whatever people wrote into the rows", () => {
    const odd = "a\nb\r\t\u2028c";
    const orphan = { ...ORPHAN, value: odd, visibility: odd };
    const rows: Partial<RbacFound> = {
      strayTeams: [{ id: "t9", name: odd, visibility: odd }],
      roles: [foundRole(ROOT), foundRole(VIEWER, { permissions: [odd] })],
      orphans: { rows: [orphan, { ...orphan, teamId: "t1" }], taken: [] },
    };
    const texts = lines(plan({ found: rows }));
    expect(texts.map((text) => text.split(" ", 1)[0])).toEqual([
      "normalise-team",
      "converge-role",
      "assign-orphan",
      "assign-orphan",
    ]);
    expect(texts.filter((text) => /[\r\n]/.test(text))).toEqual([]);
  });
});
