/** Resources that nobody owns, as plain data. */

/** The six tables, in the order in which they are seen to. */
export const ORPHAN_TABLES = [
  "servers",
  "tools",
  "resources",
  "prompts",
  "gateways",
  "a2a_agents",
] as const;

/** One of the six. */
export type OrphanTable = (typeof ORPHAN_TABLES)[number];

/** Whether the application derives a row's name from a custom name, again at every update. */
export function isDerived(table: OrphanTable): boolean {
  return table === "tools" || table === "prompts";
}

/** A row of all six tables: `tools/3f2a…`. */
export function orphanKey(row: { readonly table: OrphanTable; readonly id: string }): string {
  return `${row.table}/${row.id}`;
}

/** A row without owner or without team. */
export interface FoundOrphan {
  readonly table: OrphanTable;
  readonly id: string;
  /** What must be unique for a team and an owner: name, uri or slug. */
  readonly value: string | null;
  /** What `value` is derived from, or the original name; tools and prompts only. */
  readonly customName: string | null;
  /** The gateway whose slug stands in front of a federated tool's or prompt's name. */
  readonly gatewayName: string | null;
  readonly teamId: string | null;
  readonly ownerEmail: string | null;
  readonly visibility: string | null;
}

/** A value that the admin already has in a team. */
export interface TakenValue {
  readonly table: OrphanTable;
  readonly teamId: string;
  readonly value: string;
}

/** What the six tables hold that matters. */
export interface OrphansFound {
  /** In the order of the tables, then oldest first. */
  readonly rows: readonly FoundOrphan[];
  /** The admin's values that equal one of an orphan's stems, or are one and a number. */
  readonly taken: readonly TakenValue[];
}

/** What one row becomes. Value, owner and team as found tell whether it is still that row. */
export interface OrphanChange {
  readonly table: OrphanTable;
  readonly id: string;
  /** As found. */
  readonly value: string | null;
  /** As found. */
  readonly ownerEmail: string | null;
  /** As found. Undefined: none, so it becomes the admin's personal team, which may not be there yet. */
  readonly teamId: string | undefined;
  readonly visibility: string;
  readonly rename: OrphanRename | undefined;
}

/** The new unique value, with what it is derived from. */
export interface OrphanRename {
  readonly value: string;
  readonly customName: string | undefined;
  readonly customNameSlug: string | undefined;
}
