/**
 * What is to be done so that the rows are as they shall be. Pure: called without the gate to see
 * whether anything is to do, and again inside it. Applying a plan leaves nothing for the next one.
 */
import { HeadgateError } from "./error.ts";
import { planOrphans } from "./orphan-plan.ts";
import type {
  AccountsWish,
  FoundRole,
  GrantWish,
  RbacChange,
  RbacFound,
  RbacPlan,
  RbacWish,
  RoleSpec,
} from "./rbac.ts";

/**
 * The difference, in the order of the writes; no change when everything is there.
 *
 * @throws {HeadgateError} `seed-failed` when a role to be granted is nowhere defined
 */
export function diffRbac(wish: RbacWish, found: RbacFound): RbacPlan {
  const normalised = found.strayTeams.map((team): RbacChange => ({ kind: "normalise-team", team }));
  const { accounts } = wish;
  const { roles } = found;
  const teamId = found.team?.id;
  if (!accounts) return { changes: normalised, roles, teamId, vanishedRoles: [] };
  return {
    roles,
    teamId,
    changes: [
      ...normalised,
      ...adminChanges(accounts, found),
      ...accounts.roles.flatMap((role) => roleChanges(role, found.roles)),
      ...teamChanges(accounts, found),
      ...accounts.grants.flatMap((grant) => grantChanges(grant, accounts, found)),
      ...orphanChanges(accounts, found),
    ],
    vanishedRoles: vanishedRoles(accounts.roles, found.roles),
  };
}

/** True when the plan makes a password necessary: worth half a second before any transaction. */
export function needsPassword(changes: readonly RbacChange[]): boolean {
  return changes.some(({ kind }) => kind === "create-admin" || kind === "set-password");
}

function adminChanges({ admin }: AccountsWish, found: RbacFound): readonly RbacChange[] {
  const { email } = admin;
  if (!found.admin) return [{ kind: "create-admin", email }];
  const changes: RbacChange[] = [];
  if (!found.admin.isAdmin) changes.push({ kind: "promote-admin", email });
  if (admin.isEnabled && found.admin.isDisabled) changes.push({ kind: "set-password", email });
  return changes;
}

/** Only a system role follows its definition; what people made of another one is theirs. */
function roleChanges(role: RoleSpec, found: readonly FoundRole[]): readonly RbacChange[] {
  const [first] = rolesOf(role, found);
  if (!first) return [{ kind: "create-role", role }];
  if (!first.isSystemRole || isSameSet(first.permissions, role.permissions)) return [];
  const permissions = [...new Set(role.permissions)].sort();
  return [{ kind: "converge-role", role: first, permissions }];
}

function teamChanges({ team }: AccountsWish, found: RbacFound): readonly RbacChange[] {
  if (!found.team) {
    if (!team) return [];
    const slug = freeSlug(team.slug, new Set(found.teamSlugs));
    const create: RbacChange = { kind: "create-team", name: team.name, slug };
    return [create, { kind: "add-member" }, { kind: "add-history" }];
  }
  if (!found.team.hasMember) return [{ kind: "add-member" }, { kind: "add-history" }];
  return found.team.hasHistory ? [] : [{ kind: "add-history" }];
}

/** Another team may have the same display name: slugs are unique, names are not. */
function freeSlug(wanted: string, taken: ReadonlySet<string>): string {
  let slug = wanted;
  for (let n = 2; taken.has(slug); n += 1) slug = `${wanted}-${n}`;
  return slug;
}

function grantChanges(
  grant: GrantWish,
  accounts: AccountsWish,
  found: RbacFound,
): readonly RbacChange[] {
  const { role, scope } = grant;
  if (scope === "team" && !found.team && !accounts.team) return [];
  const identity = { name: role, scope };
  const ids = new Set(rolesOf(identity, found.roles).map(({ id }) => id));
  if (ids.size === 0 && rolesOf(identity, accounts.roles).length === 0) throw noSuchRole(grant);
  const scopeId = scope === "team" ? (found.team?.id ?? "") : null;
  const held = found.grants.filter(
    (each) => ids.has(each.roleId) && each.scope === scope && each.scopeId === scopeId,
  );
  if (held.some(({ isExpired }) => !isExpired)) return [];
  const retired = held.map(({ id }): RbacChange => ({ kind: "retire-grant", id, role }));
  return [...retired, { kind: "grant-role", role, scope }];
}

function orphanChanges(accounts: AccountsWish, found: RbacFound): readonly RbacChange[] {
  if (!found.team && !accounts.team) return [];
  return planOrphans(found.orphans, {
    orphans: accounts.orphans,
    separator: accounts.separator,
    personalTeamId: found.team?.id,
  }).map((orphan): RbacChange => ({ kind: "assign-orphan", orphan }));
}

function vanishedRoles(
  wanted: readonly RoleSpec[],
  found: readonly FoundRole[],
): readonly string[] {
  const names = found
    .filter((role) => role.isSystemRole && rolesOf(role, wanted).length === 0)
    .map(({ name, scope }) => `${name} (${scope})`);
  return [...new Set(names)];
}

type Identity = Readonly<Record<"name" | "scope", string>>;

function rolesOf<T extends Identity>(identity: Identity, roles: readonly T[]): readonly T[] {
  return roles.filter((each) => each.name === identity.name && each.scope === identity.scope);
}

function isSameSet(a: readonly string[], b: readonly string[]): boolean {
  const [left, right] = [new Set(a), new Set(b)];
  return left.size === right.size && a.every((each) => right.has(each));
}

function noSuchRole({ role, scope }: GrantWish): HeadgateError {
  return new HeadgateError(
    `Cannot grant the role ${JSON.stringify(role)}: no ${scope} role of that name is defined`,
    {
      code: "seed-failed",
      hint: "Correct DEFAULT_ADMIN_ROLE or DEFAULT_TEAM_OWNER_ROLE, or define the role in the roles file",
    },
  );
}
