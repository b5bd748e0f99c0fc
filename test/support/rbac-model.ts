/** The gateway's tables as plain data, and what seeding makes of them: without SQL and a database. */
import { isDerived, ORPHAN_TABLES, type OrphanTable } from "../../src/core/orphan.ts";
import type {
  AccountsWish,
  AdminWish,
  GrantWish,
  RbacChange,
  RbacFound,
  RbacPlan,
  RoleSpec,
} from "../../src/core/rbac.ts";

export const DISABLED = "!disabled";

export interface AccountRow {
  id: string;
  email: string;
  isAdmin: boolean;
  hash: string;
}

export interface TeamRow {
  id: string;
  name: string;
  slug: string;
  createdBy: string;
  isPersonal: boolean;
  isActive: boolean;
  visibility: string;
}

export interface MemberRow {
  id: string;
  teamId: string;
  email: string;
}

export interface HistoryRow {
  id: string;
  memberId: string;
  teamId: string;
  email: string;
  action: string;
}

export interface RoleRow {
  id: string;
  name: string;
  scope: string;
  /** Any JSON: people write it too. */
  permissions: unknown;
  isSystemRole: boolean;
  isActive: boolean;
}

export interface GrantRow {
  id: string;
  email: string;
  roleId: string;
  scope: string;
  scopeId: string | null;
  isExpired: boolean;
  isActive: boolean;
}

export interface ResourceRow {
  table: OrphanTable;
  id: string;
  value: string;
  customName: string | null;
  gatewayName: string | null;
  teamId: string | null;
  ownerEmail: string | null;
  visibility: string;
}

/** Every table oldest first. */
export interface Rows {
  accounts: AccountRow[];
  teams: TeamRow[];
  members: MemberRow[];
  history: HistoryRow[];
  roles: RoleRow[];
  grants: GrantRow[];
  resources: ResourceRow[];
}

/** What a look at the rows shows. */
export function foundIn(rows: Rows, accounts: AccountsWish | undefined): RbacFound {
  const email = accounts?.admin.email;
  const admin = rows.accounts.find((each) => each.email === email);
  const team = rows.teams.find(
    (each) => each.createdBy === email && each.isPersonal && each.isActive,
  );
  return {
    strayTeams: rows.teams.filter(isStray),
    admin: admin && { isAdmin: admin.isAdmin, isDisabled: admin.hash === DISABLED },
    roles: rows.roles
      .filter(({ isActive }) => isActive)
      .map((role) => ({ ...role, permissions: textsOf(role.permissions) })),
    team: team && {
      id: team.id,
      hasMember: rows.members.some((each) => each.teamId === team.id && each.email === email),
      hasHistory: rows.history.some((each) => isAdded(each, team.id, email)),
    },
    teamSlugs: rows.teams
      .map(({ slug }) => slug)
      .filter((slug) => slug.startsWith(accounts?.team?.slug ?? "")),
    grants: rows.grants.filter((each) => each.email === email && each.isActive),
    orphans: orphansIn(rows, accounts),
  };
}

function orphansIn(rows: Rows, accounts: AccountsWish | undefined): RbacFound["orphans"] {
  if (!accounts || accounts.orphans === "leave") return { rows: [], taken: [] };
  const { admin, orphans } = accounts;
  const sorted = ORPHAN_TABLES.flatMap((table) =>
    rows.resources.filter((row) => row.table === table),
  );
  return {
    rows: sorted.filter(
      (row) => row.ownerEmail === null || (orphans === "all" && row.teamId === null),
    ),
    taken: sorted.flatMap(({ table, teamId, value, ownerEmail }) =>
      ownerEmail === admin.email && teamId !== null ? [{ table, teamId, value }] : [],
    ),
  };
}

function textsOf(permissions: unknown): readonly string[] {
  const isTexts =
    Array.isArray(permissions) && permissions.every((each) => typeof each === "string");
  return isTexts ? permissions : [];
}

function isStray({ visibility }: TeamRow): boolean {
  return visibility !== "private" && visibility !== "public";
}

function isAdded(row: HistoryRow, teamId: string, email: string | undefined): boolean {
  return row.teamId === teamId && row.email === email && row.action === "added";
}

/** What is known while a plan is applied. */
interface Draft {
  readonly rows: Rows;
  readonly plan: RbacPlan;
  readonly admin: AdminWish;
  /** Of the password that this run gives. */
  readonly hash: string;
  teamId: string | undefined;
}

/**
 * The rows once every change of a plan is written; those given stay as they are.
 *
 * @throws {Error} when a change builds upon a row that is not there.
 */
export function applied(
  rows: Rows,
  plan: RbacPlan,
  admin: AdminWish | undefined,
  hash: string = "new",
): Rows {
  const nobody = { email: "", fullName: "", mustChangePassword: false, isEnabled: false };
  const draft: Draft = {
    rows: structuredClone(rows),
    plan,
    admin: admin ?? nobody,
    hash,
    teamId: plan.teamId,
  };
  for (const change of plan.changes) {
    const write = WRITES[change.kind] as Write<RbacChange>;
    write(draft, change, `new ${Object.values(draft.rows).flat().length}`);
  }
  return draft.rows;
}

type Kind = RbacChange["kind"];
type Write<Change> = (draft: Draft, change: Change, id: string) => void;

const WRITES: { readonly [K in Kind]: Write<Extract<RbacChange, { readonly kind: K }>> } = {
  "normalise-team": ({ rows }, { team }) => {
    const found = rows.teams.find(({ id }) => id === team.id);
    if (found && isStray(found)) found.visibility = "private";
  },
  "create-admin": ({ rows, admin: { email }, hash }, _change, id) => {
    rows.accounts.push({ id, email, isAdmin: true, hash });
  },
  "set-password": (draft) => {
    const account = accountOf(draft);
    if (account?.hash === DISABLED) account.hash = draft.hash;
  },
  "promote-admin": (draft) => {
    const account = accountOf(draft);
    if (account) account.isAdmin = true;
  },
  "create-role": ({ rows }, { role }, id) => {
    const { name, scope, isSystemRole } = role;
    const permissions = [...role.permissions];
    rows.roles.push({ id, name, scope, permissions, isSystemRole, isActive: true });
  },
  "converge-role": ({ rows }, { role: { id }, permissions }) => {
    const found = rows.roles.find((each) => each.id === id);
    if (found?.isSystemRole && found.isActive) found.permissions = [...permissions];
  },
  "create-team": (draft, { name, slug }, id) => {
    const flags = { isPersonal: true, isActive: true, visibility: "private" };
    draft.rows.teams.push({ id, name, slug, createdBy: draft.admin.email, ...flags });
    draft.teamId = id;
  },
  "add-member": (draft, _change, id) => {
    draft.rows.members.push({ id, teamId: teamOf(draft), email: draft.admin.email });
  },
  "add-history": (draft, _change, id) => {
    const { rows, admin } = draft;
    const { email } = admin;
    const teamId = teamOf(draft);
    const member = rows.members.find((each) => each.teamId === teamId && each.email === email);
    if (!member || rows.history.some((each) => isAdded(each, teamId, email))) return;
    rows.history.push({ id, memberId: member.id, teamId, email, action: "added" });
  },
  "retire-grant": ({ rows }, { id }) => {
    for (const grant of rows.grants) if (grant.id === id) grant.isActive = false;
  },
  "grant-role": (draft, { role: name, scope }, id) => {
    const { rows, admin } = draft;
    const role = rows.roles.find(
      (each) => each.isActive && each.name === name && each.scope === scope,
    );
    if (!role) throw new Error(`there is no role ${name} (${scope})`);
    const scopeId = scope === "team" ? teamOf(draft) : null;
    const flags = { isExpired: false, isActive: true };
    rows.grants.push({ id, email: admin.email, roleId: role.id, scope, scopeId, ...flags });
  },
  "assign-orphan": (draft, { orphan }) => {
    const { table, id, value, ownerEmail, teamId = null, visibility, rename } = orphan;
    const row = draft.rows.resources.find(
      (each) =>
        each.table === table &&
        each.id === id &&
        each.value === value &&
        each.ownerEmail === ownerEmail &&
        each.teamId === teamId,
    );
    if (!row) throw new Error(`there is no ${table} ${id} as it was found`);
    row.ownerEmail = draft.admin.email;
    row.teamId = teamId ?? teamOf(draft);
    row.visibility = visibility;
    row.value = rename?.value ?? row.value;
    row.customName = rename?.customName ?? row.customName;
  },
};

function accountOf({ rows, admin }: Draft): AccountRow | undefined {
  return rows.accounts.find(({ email }) => email === admin.email);
}

function teamOf({ teamId }: Draft): string {
  if (teamId === undefined) throw new Error("there is no personal team");
  return teamId;
}

/** What the unique indexes of the newest schema would refuse. */
export function violations(rows: Rows): readonly string[] {
  const active = <T extends { isActive: boolean }>(each: T): boolean => each.isActive;
  return [
    ...twice("account", rows.accounts, (row) => [row.email]),
    ...twice("team", rows.teams, (row) => [row.slug]),
    ...twice("member", rows.members, (row) => [row.teamId, row.email]),
    ...twice("role", rows.roles.filter(active), (row) => [row.name, row.scope]),
    ...twice("grant", rows.grants.filter(active), (row) => [
      row.email,
      row.roleId,
      row.scope,
      row.scopeId,
    ]),
    ...twice(
      "resource",
      rows.resources.filter(({ teamId, ownerEmail }) => teamId !== null && ownerEmail !== null),
      (row) => [row.table, row.teamId, row.ownerEmail, row.value],
    ),
  ];
}

function twice<T>(
  what: string,
  rows: readonly T[],
  keyOf: (row: T) => readonly unknown[],
): string[] {
  const keys = rows.map((row) => JSON.stringify(keyOf(row)));
  return keys.filter((key, at) => keys.indexOf(key) !== at).map((key) => `${what} ${key} twice`);
}

/** A number in [0, 1). */
export type Next = () => number;

export function pick<T>(next: Next, items: readonly T[]): T {
  return items[Math.floor(next() * items.length)] as T;
}

/** 0 to `max` items. */
function several<T>(next: Next, max: number, make: (at: number) => T): T[] {
  return Array.from({ length: Math.floor(next() * (max + 1)) }, (_, at) => make(at));
}

export const ADMIN = "admin@example.com";
const OTHERS = ["bob@example.com", "eve@example.com"] as const;
const SLUG = "platform-administrators-team";

/** What a random state is made for. */
export interface Wanted {
  readonly roles: readonly RoleSpec[];
  /** Only rows that the newest schema admits. */
  readonly isConstrained: boolean;
}

/** Half of what seeding wants and half of what it never heard of, in any condition. */
export function randomRows(next: Next, { roles: specs, isConstrained }: Wanted): Rows {
  const rows = scratchRows(next, specs, isConstrained);
  return isConstrained ? withoutViolations(rows) : rows;
}

function scratchRows(next: Next, specs: readonly RoleSpec[], isConstrained: boolean): Rows {
  const chance = (share: number): boolean => next() < share;
  const accounts = [ADMIN, ...OTHERS].flatMap((email): AccountRow[] => {
    if (chance(email === ADMIN ? 0.2 : 0.4)) return [];
    const hash = chance(0.3) ? DISABLED : "kept";
    return [{ id: `account ${email}`, email, isAdmin: chance(0.6), hash }];
  });
  const people = isConstrained ? accounts.map(({ email }) => email) : [ADMIN, ...OTHERS];
  const person = (): string => (people.includes(ADMIN) && chance(0.5) ? ADMIN : pick(next, people));
  const count = people.length === 0 ? 0 : 6;
  const teams = several(next, count, (at): TeamRow => {
    const slug = pick(next, [SLUG, SLUG, `${SLUG}-2`, `${SLUG}-2`, `${SLUG}-3`, "mine", ""]);
    const visibility = pick(next, ["private", "private", "public", "team", ""]);
    const flags = { isPersonal: chance(0.4), isActive: chance(0.8), visibility };
    return { id: `team ${at}`, name: "A Team", slug, createdBy: person(), ...flags };
  });
  const team = (): string => (teams.length === 0 ? "gone" : pick(next, teams).id);
  const members = several(next, teams.length * 2, (at): MemberRow => {
    return { id: `member ${at}`, teamId: team(), email: person() };
  });
  const history = several(next, members.length, (at): HistoryRow => {
    const { id: memberId, teamId, email } = pick(next, members);
    const row = { id: `history ${at}`, memberId, teamId, email };
    return { ...row, action: pick(next, ["added", "removed", "role_changed"]) };
  });
  const roles = several(next, count * 2, (at) => randomRole(next, `role ${at}`, specs));
  const grants = several(next, roles.length * 2, (at): GrantRow => {
    const role = pick(next, roles);
    const scope = chance(0.8) ? role.scope : pick(next, ["global", "team"]);
    const scopeId = chance(scope === "team" ? 0.8 : 0.2) ? team() : null;
    const flags = { isExpired: chance(0.5), isActive: chance(0.7) };
    return { id: `grant ${at}`, email: person(), roleId: role.id, scope, scopeId, ...flags };
  });
  const resources = several(next, 12, (at): ResourceRow => {
    const table = pick(next, ORPHAN_TABLES);
    const isNamed = isDerived(table);
    return {
      table,
      id: `resource ${at}`,
      value: pick(next, ["x", "x-2", "x-3", "y", "X", "y-x"]),
      customName: isNamed ? pick(next, ["x", "X", "x 2", "y"]) : null,
      gatewayName: isNamed && !isConstrained ? pick(next, [null, "y", "My Gateway"]) : null,
      teamId: teams.length > 0 && chance(0.4) ? team() : null,
      ownerEmail: pick(next, [null, null, ADMIN, OTHERS[0]]),
      visibility: pick(next, ["private", "public", "team"]),
    };
  });
  return { accounts, teams, members, history, roles, grants, resources };
}

function randomRole(next: Next, id: string, specs: readonly RoleSpec[]): RoleRow {
  const unheard = [
    { name: "old_role", scope: "team", permissions: ["tools.read"] },
    { name: "viewer", scope: "global", permissions: [] },
  ];
  const { name, scope, permissions: wanted } = pick(next, [...specs, ...specs, ...unheard]);
  const permissions = pick<unknown>(next, [
    wanted,
    wanted.toReversed(),
    [...wanted, ...wanted],
    [...wanted, "people.added", "a\nline"],
    [...wanted.slice(1), "people.added"],
    wanted.slice(1),
    [],
    [1, "tools.read"],
    { "tools.read": true },
    "tools.read",
    null,
  ]);
  return { id, name, scope, permissions, isSystemRole: next() < 0.6, isActive: next() < 0.75 };
}

/** The first of several rows that cannot be there together. */
function withoutViolations(rows: Rows): Rows {
  const kept: Rows = {
    accounts: [],
    teams: [],
    members: [],
    history: [],
    roles: [],
    grants: [],
    resources: [],
  };
  for (const table of Object.keys(kept) as (keyof Rows)[]) {
    for (const row of rows[table]) {
      const list = kept[table] as unknown[];
      list.push(row);
      if (violations(kept).length > 0 || isDangling(kept, row)) list.pop();
    }
  }
  return kept;
}

/** Whether it refers to a row that is not kept. */
function isDangling(kept: Rows, row: object): boolean {
  const isGone = (key: string, table: readonly { id: string }[]): boolean => {
    const id = (row as Readonly<Record<string, unknown>>)[key];
    return typeof id === "string" && !table.some((each) => each.id === id);
  };
  return (
    isGone("teamId", kept.teams) || isGone("memberId", kept.members) || isGone("roleId", kept.roles)
  );
}

/** Anything that flags, variables and a roles file could ask for, and more. */
export function randomAccounts(next: Next): AccountsWish {
  const chance = (share: number): boolean => next() < share;
  const roles = SPECS.filter(() => chance(0.8)).map((role): RoleSpec => {
    const permissions = ["tools.read", "*", "tools.read", "a2a.read"].filter(() => chance(0.6));
    return { ...role, permissions, isSystemRole: chance(0.7) };
  });
  const team = { name: "Mine", slug: pick(next, [SLUG, "mine", "r", ""]) };
  const admin = { email: ADMIN, fullName: "Admin", mustChangePassword: true };
  const rare = chance(0.05) ? ["nobody"] : [];
  const granted = (scope: GrantWish["scope"]): GrantWish[] => {
    const names = roles.filter((role) => role.scope === scope && chance(0.5));
    return [...names.map(({ name }) => name), ...rare].map((role) => ({ role, scope }));
  };
  return {
    admin: { ...admin, isEnabled: chance(0.4) },
    roles,
    team: chance(0.75) ? team : undefined,
    grants: [...granted("global"), ...granted("team")],
    orphans: pick(next, ["leave", "ownerless", "all"]),
    separator: pick(next, ["-", "_"]),
  };
}

const SPECS: readonly RoleSpec[] = (
  [
    ["platform_admin", "global"],
    ["team_admin", "team"],
    ["developer", "team"],
    ["viewer", "team"],
    ["auditor", "global"],
    ["auditor", "team"],
    ["mine", "personal"],
  ] as const
).map(([name, scope]) => {
  return { name, scope, description: "", permissions: [], isSystemRole: true };
});
