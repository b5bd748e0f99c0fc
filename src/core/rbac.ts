/** The gateway's RBAC rows as plain data: what they shall be, what is there, what is to be done. */
import type { OrphanChange, OrphansFound } from "./orphan.ts";

/** Where a role holds. */
export type RoleScope = "global" | "team" | "personal";

/** One role as it shall be. `name` and `scope` together are its identity. */
export interface RoleSpec {
  readonly name: string;
  readonly scope: RoleScope;
  readonly description: string;
  /** In the order in which a new role gets them. */
  readonly permissions: readonly string[];
  readonly isSystemRole: boolean;
}

/** The roles that a binary carries. A change of them raises the number. */
export interface RbacSpec {
  readonly number: number;
  readonly roles: readonly RoleSpec[];
}

/** What the rows shall be. */
export interface RbacWish {
  /** Undefined: the gateway has no e-mail accounts, and only team visibility is seen to. */
  readonly accounts: AccountsWish | undefined;
}

/** Admin, roles, personal team and grants, and who gets resources without an owner. */
export interface AccountsWish {
  readonly admin: AdminWish;
  /** Defaults with the roles file's over them; no (name, scope) twice. */
  readonly roles: readonly RoleSpec[];
  /** Undefined: no personal team is created. */
  readonly team: TeamWish | undefined;
  readonly grants: readonly GrantWish[];
  /** `ownerless`: only rows without an owner; `all`: also owned rows without a team. */
  readonly orphans: "leave" | "ownerless" | "all";
  /** Between the words of a slug, and between a gateway's slug and its tool's. */
  readonly separator: string;
}

/** The first account. An existing password is never touched. */
export interface AdminWish {
  /** Trimmed and in lower case. */
  readonly email: string;
  readonly fullName: string;
  readonly mustChangePassword: boolean;
  /** True: an admin without a password (`!disabled`) gets one. */
  readonly isEnabled: boolean;
}

/** The admin's personal team. */
export interface TeamWish {
  readonly name: string;
  /** As it should be; a number is added when another team has it. */
  readonly slug: string;
}

/** A role that the admin shall have; `team` is on the personal team. */
export interface GrantWish {
  readonly role: string;
  readonly scope: "global" | "team";
}

/** What the tables hold. Only active roles and grants. */
export interface RbacFound {
  /** Teams whose visibility is neither private nor public. */
  readonly strayTeams: readonly StrayTeam[];
  readonly admin: FoundAdmin | undefined;
  /** Oldest first: the first of several equal ones is the one that counts. */
  readonly roles: readonly FoundRole[];
  /** The admin's active personal team. */
  readonly team: FoundTeam | undefined;
  /** Slugs of teams that begin with the wanted one. */
  readonly teamSlugs: readonly string[];
  /** The admin's. */
  readonly grants: readonly FoundGrant[];
  readonly orphans: OrphansFound;
}

/** A team to be made private. */
export interface StrayTeam {
  readonly id: string;
  readonly name: string;
  readonly visibility: string;
}

/** The admin's account as it is. */
export interface FoundAdmin {
  readonly isAdmin: boolean;
  /** Whether password_hash is the sentinel that no password fits. */
  readonly isDisabled: boolean;
}

/** An active role. */
export interface FoundRole {
  readonly id: string;
  readonly name: string;
  readonly scope: string;
  readonly permissions: readonly string[];
  readonly isSystemRole: boolean;
}

/** The admin's personal team, and whether it has the two rows that belong to it. */
export interface FoundTeam {
  readonly id: string;
  readonly hasMember: boolean;
  readonly hasHistory: boolean;
}

/** An active grant of the admin's. */
export interface FoundGrant {
  readonly id: string;
  readonly roleId: string;
  readonly scope: string;
  readonly scopeId: string | null;
  readonly isExpired: boolean;
}

/** One thing to do. The order of a plan's changes is the order of the writes. */
export type RbacChange =
  | { readonly kind: "normalise-team"; readonly team: StrayTeam }
  | { readonly kind: "create-admin"; readonly email: string }
  | { readonly kind: "set-password"; readonly email: string }
  | { readonly kind: "promote-admin"; readonly email: string }
  | { readonly kind: "create-role"; readonly role: RoleSpec }
  | {
      readonly kind: "converge-role";
      readonly role: FoundRole;
      readonly permissions: readonly string[];
    }
  | { readonly kind: "create-team"; readonly name: string; readonly slug: string }
  | { readonly kind: "add-member" }
  | { readonly kind: "add-history" }
  | { readonly kind: "retire-grant"; readonly id: string; readonly role: string }
  | { readonly kind: "grant-role"; readonly role: string; readonly scope: GrantWish["scope"] }
  | { readonly kind: "assign-orphan"; readonly orphan: OrphanChange };

/** What to do, and what a person should know. */
export interface RbacPlan {
  readonly changes: readonly RbacChange[];
  /** What is there that the changes build upon: roles oldest first, and the personal team. */
  readonly roles: readonly FoundRole[];
  readonly teamId: string | undefined;
  /** Active system roles that no definition names any more: `name (scope)`. */
  readonly vanishedRoles: readonly string[];
}
