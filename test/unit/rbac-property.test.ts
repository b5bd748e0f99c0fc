/** For any rows and any wish: seeding converges in one go, and takes nothing from anybody. */
import { describe, expect, test } from "bun:test";
import { HeadgateError } from "../../src/core/error.ts";
import type {
  AccountsWish,
  FoundRole,
  GrantWish,
  RbacChange,
  RbacFound,
  RbacPlan,
  RoleSpec,
} from "../../src/core/rbac.ts";
import { diffRbac, needsPassword } from "../../src/core/rbac-diff.ts";
import {
  type AccountRow,
  ADMIN,
  applied,
  DISABLED,
  foundIn,
  pick,
  type ResourceRow,
  type Rows,
  randomAccounts,
  randomRows,
  type TeamRow,
  violations,
} from "../support/rbac-model.ts";
import { randomNumbers } from "./sql-fragments.ts";

interface Case {
  readonly seed: number;
  /** The rows are such as the newest schema admits. */
  readonly isConstrained: boolean;
  readonly accounts: AccountsWish | undefined;
  readonly before: Rows;
  readonly plan: RbacPlan;
  readonly after: Rows;
}

const SEEDS = Array.from({ length: 2000 }, (_, seed) => seed);
const CASES = SEEDS.map(caseOf).filter((each) => each !== undefined);

function planFor(rows: Rows, accounts: AccountsWish | undefined): RbacPlan {
  return diffRbac({ accounts }, foundIn(rows, accounts));
}

/** Undefined: what is wished for is refused. */
function caseOf(seed: number): Case | undefined {
  return naming(seed, () => {
    const next = randomNumbers(seed);
    const isConstrained = next() < 0.5;
    const accounts = next() < 0.9 ? randomAccounts(next) : undefined;
    const before = randomRows(next, { roles: accounts?.roles ?? [], isConstrained });
    try {
      const plan = planFor(before, accounts);
      const after = applied(before, plan, accounts?.admin);
      return { seed, isConstrained, accounts, before, plan, after };
    } catch (error) {
      if (error instanceof HeadgateError && error.code === "seed-failed") return undefined;
      throw error;
    }
  });
}

/** A failure tells which case it was. */
function naming<T>(seed: number, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
  }
}

function forEach(cases: readonly Case[], check: (each: Case) => void): void {
  for (const each of cases) naming(each.seed, () => check(each));
}

describe("applying a plan", () => {
  test("leaves nothing for the next one", () => {
    forEach(CASES, ({ after, accounts }) => {
      const { changes } = planFor(after, accounts);
      expect(changes).toEqual([]);
      expect(needsPassword(changes)).toBe(false);
    });
  });

  test("breaks no unique index", () => {
    const constrained = CASES.filter(({ isConstrained }) => isConstrained);
    forEach(constrained, ({ before, after }) => {
      expect(violations(before)).toEqual([]);
      expect(violations(after)).toEqual([]);
    });
  });

  test("loses no row, in no table", () => {
    forEach(CASES, ({ before, after }) => {
      for (const table of Object.keys(before) as (keyof Rows)[]) {
        const ids = after[table].map(({ id }) => id);
        expect(ids.slice(0, before[table].length)).toEqual(before[table].map(({ id }) => id));
      }
    });
  });

  test("changes nothing of a role but the permissions of an active system role", () => {
    forEach(CASES, ({ before, after }) => {
      for (const [at, role] of before.roles.entries()) {
        const now = after.roles[at];
        const permissions =
          role.isSystemRole && role.isActive ? now?.permissions : role.permissions;
        expect(now).toEqual({ ...role, permissions });
      }
    });
  });

  test("never touches grants of other people, and of the admin's only what has expired", () => {
    forEach(CASES, ({ before, after }) => {
      for (const [at, grant] of before.grants.entries()) {
        const isRetired = grant.email === ADMIN && grant.isExpired && !after.grants[at]?.isActive;
        expect(after.grants[at]).toEqual({ ...grant, isActive: grant.isActive && !isRetired });
      }
      const added = after.grants.slice(before.grants.length);
      expect(added.filter(({ email }) => email !== ADMIN)).toEqual([]);
    });
  });

  test("never touches other people's accounts, teams and memberships, but for a stray visibility", () => {
    forEach(CASES, ({ before, after }) => {
      expect(othersOf(after.accounts)).toEqual(othersOf(before.accounts));
      expect(after.teams.slice(0, before.teams.length)).toEqual(before.teams.map(normalised));
      expect(after.members.slice(0, before.members.length)).toEqual(before.members);
      expect(after.history.slice(0, before.history.length)).toEqual(before.history);
    });
  });

  test("never replaces a password, and takes no administrator's rights away", () => {
    forEach(CASES, ({ before, after, accounts }) => {
      const mayEnable = accounts?.admin.isEnabled === true;
      const kept = before.accounts.map((row, at) => {
        const isFirst = mayEnable && row.email === ADMIN && row.hash === DISABLED;
        const isAdmin = row.isAdmin || after.accounts[at]?.isAdmin;
        return { ...row, isAdmin, hash: isFirst ? "new" : row.hash };
      });
      expect(after.accounts.slice(0, kept.length)).toEqual(kept as AccountRow[]);
    });
  });

  test("takes a resource from nobody who was not meant, and publishes no team's", () => {
    forEach(CASES, ({ before, after, accounts }) => {
      const mode = accounts?.orphans ?? "leave";
      const isMeant = ({ ownerEmail, teamId }: ResourceRow): boolean =>
        (mode !== "leave" && ownerEmail === null) || (mode === "all" && teamId === null);
      const kept = before.resources.map((row, at) => {
        const now = after.resources[at];
        if (!now || !isMeant(row)) return row;
        return row.teamId === null ? now : { ...now, ...seenBy(row) };
      });
      expect(after.resources).toEqual(kept);
    });
  });

  test("does all that was wished for", () => {
    forEach(CASES, ({ after, accounts }) => {
      const found = foundIn(after, accounts);
      expect(found.strayTeams).toEqual([]);
      expect(accounts ? missingIn(found, accounts) : []).toEqual([]);
    });
  });

  test("does nothing that could have been left out", () => {
    const withChanges = CASES.filter(
      ({ isConstrained, plan }) => isConstrained && plan.changes.length > 0,
    );
    forEach(withChanges, ({ seed, before, plan, accounts }) => {
      const left = pick(randomNumbers(seed), plan.changes);
      if (isHistoryKept(left, before, plan)) return;
      const changes = plan.changes.filter((change) => change !== left);
      const problems = problemsAfter(before, { ...plan, changes }, accounts);
      expect([left.kind, problems]).not.toEqual([left.kind, []]);
    });
  });
});

function othersOf(accounts: readonly AccountRow[]): readonly AccountRow[] {
  return accounts.filter(({ email }) => email !== ADMIN);
}

function normalised(team: TeamRow): TeamRow {
  const isKnown = team.visibility === "private" || team.visibility === "public";
  return { ...team, visibility: isKnown ? team.visibility : "private" };
}

function seenBy({ teamId, visibility }: ResourceRow): Pick<ResourceRow, "teamId" | "visibility"> {
  return { teamId, visibility };
}

/** What of a wish is not there. */
function missingIn(found: RbacFound, { admin, roles, team, grants }: AccountsWish): unknown[] {
  const isEnabled = !(admin.isEnabled && found.admin?.isDisabled);
  const hasTeam = found.team ? found.team.hasMember && found.team.hasHistory : !team;
  return [
    ...(found.admin?.isAdmin && isEnabled ? [] : ["admin"]),
    ...(hasTeam ? [] : ["team"]),
    ...(found.team ? found.orphans.rows : []),
    ...roles.filter((role) => !hasRole(found, role)),
    ...grants.filter((grant) => !hasGrant(found, grant)),
  ];
}

/** The oldest of its name: as wished, when it is a system role. */
function hasRole(found: RbacFound, role: RoleSpec): boolean {
  const first = found.roles.find(({ name, scope }) => name === role.name && scope === role.scope);
  const texts = (permissions: readonly string[] = []): string =>
    [...new Set(permissions)].sort().join(" ");
  return first?.isSystemRole
    ? texts(first.permissions) === texts(role.permissions)
    : first !== undefined;
}

/** Without a personal team nothing can be granted there. */
function hasGrant({ grants, roles, team }: RbacFound, { role, scope }: GrantWish): boolean {
  if (scope === "team" && !team) return true;
  const isIt = ({ id, ...each }: FoundRole, roleId: string): boolean =>
    id === roleId && each.name === role && each.scope === scope;
  const scopeId = scope === "team" ? (team?.id ?? "") : null;
  const held = grants.filter((grant) => grant.scope === scope && grant.scopeId === scopeId);
  return held.some(
    ({ roleId, isExpired }) => !isExpired && roles.some((each) => isIt(each, roleId)),
  );
}

/** Such a row cannot be there without the member's; adding it again changes nothing. */
function isHistoryKept({ kind }: RbacChange, { history }: Rows, { teamId }: RbacPlan): boolean {
  return (
    kind === "add-history" &&
    history.some(
      (each) => each.teamId === teamId && each.email === ADMIN && each.action === "added",
    )
  );
}

function problemsAfter(
  before: Rows,
  plan: RbacPlan,
  accounts: AccountsWish | undefined,
): readonly string[] {
  try {
    const after = applied(before, plan, accounts?.admin);
    const kinds = planFor(after, accounts).changes.map(({ kind }) => kind);
    return [...kinds, ...violations(after)];
  } catch (error) {
    return [(error as Error).message];
  }
}

describe("the random cases", () => {
  test("have every kind of change, many times", () => {
    const counts: Record<RbacChange["kind"], number> = {
      "normalise-team": 0,
      "create-admin": 0,
      "set-password": 0,
      "promote-admin": 0,
      "create-role": 0,
      "converge-role": 0,
      "create-team": 0,
      "add-member": 0,
      "add-history": 0,
      "retire-grant": 0,
      "grant-role": 0,
      "assign-orphan": 0,
    };
    for (const { plan } of CASES) for (const { kind } of plan.changes) counts[kind] += 1;
    const rare = Object.entries(counts).filter(([, count]) => count < 100);
    expect(rare).toEqual([]);
    const renames = CASES.flatMap(({ plan }) => plan.changes).filter(
      (change) => change.kind === "assign-orphan" && change.orphan.rename !== undefined,
    );
    expect(renames.length).toBeGreaterThan(100);
  });

  test("are seldom refused, and seldom have nothing to do", () => {
    expect(SEEDS.length - CASES.length).toBeGreaterThan(50);
    expect(SEEDS.length - CASES.length).toBeLessThan(300);
    const busy = CASES.filter(({ plan }) => plan.changes.length > 3);
    expect(busy.length).toBeGreaterThan(1000);
  });
});
