/** RBAC changes in words: for the log, the report and the preview. */
import type { OrphanChange } from "./orphan.ts";
import type { FoundRole, RbacChange } from "./rbac.ts";
import { printable } from "./source-position.ts";

/** What a change is about, in one line and without a verb. */
export function describeChange(change: RbacChange): string {
  return printable(textOf(change));
}

function textOf(change: RbacChange): string {
  switch (change.kind) {
    case "normalise-team":
      return `team ${quote(change.team.name)}, visibility ${quote(change.team.visibility)} becomes private`;
    case "create-admin":
    case "set-password":
    case "promote-admin":
      return change.email;
    case "create-role":
      return `${roleName(change.role)}, ${count(change.role.permissions)}`;
    case "converge-role":
      return `${roleName(change.role)}: ${permissionChanges(change.role, change.permissions)}`;
    case "create-team":
      return `${change.name} (${change.slug})`;
    case "add-member":
    case "add-history":
      return "owner of the personal team";
    case "retire-grant":
      return `expired grant of ${change.role}`;
    case "grant-role":
      return `${change.role}, ${change.scope === "team" ? "on the personal team" : "everywhere"}`;
    case "assign-orphan":
      return describeOrphan(change.orphan);
  }
}

function roleName({ name, scope }: { readonly name: string; readonly scope: string }): string {
  return `${name} (${scope})`;
}

function permissionChanges(role: FoundRole, wanted: readonly string[]): string {
  const [has, shall] = [new Set(role.permissions), new Set(wanted)];
  const added = wanted.filter((each) => !has.has(each)).map((each) => `+${each}`);
  const removed = [...has].filter((each) => !shall.has(each)).map((each) => `-${each}`);
  return [...added, ...removed].join(" ");
}

/** A resource, and what becomes of it. */
export function describeOrphan({ table, id, value, visibility, rename }: OrphanChange): string {
  const renamed = rename ? ` renamed ${quote(rename.value)}` : "";
  return printable(`${table} ${quote(value ?? id)}${renamed}, ${visibility}`);
}

function count({ length }: readonly string[]): string {
  return length === 1 ? "1 permission" : `${length} permissions`;
}

/** Other people's text, on one line. */
function quote(text: string): string {
  return JSON.stringify(text);
}
