/** Writes a plan's changes, one by one, in the gate's transaction. */
import {
  type DbError,
  INSUFFICIENT_PRIVILEGE,
  isConnectionTrouble,
  isContention,
  sqlStateOf,
} from "../core/db-error.ts";
import { HeadgateError } from "../core/error.ts";
import { roleKey } from "../core/merge-roles.ts";
import type { OrphanChange } from "../core/orphan.ts";
import type { AdminWish, FoundRole, GrantWish, RbacChange } from "../core/rbac.ts";
import { describeChange } from "../core/rbac-text.ts";
import { assignOrphan } from "../db/orphans.ts";
import {
  insertAdmin,
  insertHistory,
  insertMember,
  insertTeam,
  normaliseTeam,
  promoteAdmin,
  type RbacTables,
  setFirstPassword,
} from "../db/rbac-write.ts";
import { convergeRole, insertGrant, insertRole, retireGrant } from "../db/rbac-write-roles.ts";
import { inSavepoint } from "../db/savepoint.ts";
import type { Connection } from "../ports.ts";
import { withState } from "./db-trouble.ts";

/** What the writes need to know of each other. */
export interface Writer {
  readonly connection: Connection;
  readonly tables: RbacTables;
  /** Undefined: accounts are not seeded, and no change is about them. */
  readonly admin: AdminWish | undefined;
  /** By `roleKey`; grows with the roles that are created. */
  readonly roleIds: Map<string, string>;
  /** The personal team, once it is there. */
  teamId: string | undefined;
  readonly passwordHash: string;
  /** This run's password is the account's: called before COMMIT. */
  readonly onPassword: () => void;
  /** A row that stays as it is; the others go on. */
  readonly onConflict: (orphan: OrphanChange, reason: string) => void;
}

/** The oldest of several equal roles counts. */
export function roleIdsOf(roles: readonly FoundRole[]): Map<string, string> {
  return new Map(roles.toReversed().map((role) => [roleKey(role), role.id]));
}

/**
 * Writes one change. False: somebody else had written it first.
 *
 * @throws {HeadgateError} `seed-failed`; `DbError` when a retry may help
 */
export async function applyChange(writer: Writer, change: RbacChange): Promise<boolean> {
  try {
    return await write(writer, change);
  } catch (error) {
    throw seedError(error, `${change.kind} ${describeChange(change)}`);
  }
}

async function write(writer: Writer, change: RbacChange): Promise<boolean> {
  const { connection, tables } = writer;
  switch (change.kind) {
    case "normalise-team":
      await normaliseTeam(connection, tables, change.team.id);
      return true;
    case "create-admin":
      return createAdmin(writer);
    case "set-password":
      return enableAdmin(writer);
    case "promote-admin":
      await promoteAdmin(connection, tables, change.email);
      return true;
    case "create-role": {
      const { id, isOurs } = await insertRole(connection, tables, change.role, emailOf(writer));
      writer.roleIds.set(roleKey(change.role), id);
      return isOurs;
    }
    case "converge-role":
      await convergeRole(connection, tables, change.role.id, change.permissions);
      return true;
    case "create-team": {
      const { id, isOurs } = await insertTeam(connection, tables, change, emailOf(writer));
      writer.teamId = id;
      return isOurs;
    }
    case "add-member":
      return (await insertMember(connection, tables, teamOf(writer), emailOf(writer))).isOurs;
    case "add-history":
      return insertHistory(connection, tables, teamOf(writer), emailOf(writer));
    case "retire-grant":
      await retireGrant(connection, tables, change.id);
      return true;
    case "grant-role":
      return grant(writer, change);
    case "assign-orphan":
      return assign(writer, change.orphan);
  }
}

async function createAdmin(writer: Writer): Promise<boolean> {
  const { connection, tables, passwordHash } = writer;
  const { isOurs } = await insertAdmin(connection, tables, adminOf(writer), passwordHash);
  if (isOurs) writer.onPassword();
  return isOurs;
}

async function enableAdmin(writer: Writer): Promise<boolean> {
  const { connection, tables, passwordHash } = writer;
  const isOurs = await setFirstPassword(connection, tables, adminOf(writer), passwordHash);
  if (isOurs) writer.onPassword();
  return isOurs;
}

async function grant(writer: Writer, { role, scope }: GrantWish): Promise<boolean> {
  const roleId = writer.roleIds.get(roleKey({ name: role, scope }));
  if (roleId === undefined) throw new TypeError(`no id of role ${role}`);
  const scopeId = scope === "team" ? teamOf(writer) : null;
  const wanted = { email: emailOf(writer), roleId, scope, scopeId };
  return (await insertGrant(writer.connection, writer.tables, wanted)).isOurs;
}

/** Whatever the database objects to, this row alone is rolled back, and the others are assigned. */
async function assign(writer: Writer, orphan: OrphanChange): Promise<boolean> {
  const { connection, tables } = writer;
  const who = { email: emailOf(writer), teamId: teamOf(writer) };
  try {
    const isOurs = await inSavepoint(connection, () =>
      assignOrphan(connection, tables.schema, orphan, who),
    );
    if (!isOurs) writer.onConflict(orphan, "it is not as it was found any more");
    return isOurs;
  } catch (error) {
    if (!OBJECTIONS.has((sqlStateOf(error) ?? "").slice(0, 2))) throw error;
    writer.onConflict(orphan, withState(error as DbError));
    return false;
  }
}

/** SQLSTATE classes: a value, a constraint, a view's check, a trigger's own words. */
const OBJECTIONS: ReadonlySet<string> = new Set(["22", "23", "44", "P0"]);

function adminOf({ admin }: Writer): AdminWish {
  if (!admin) throw new TypeError("accounts are not seeded");
  return admin;
}

function emailOf(writer: Writer): string {
  return adminOf(writer).email;
}

function teamOf({ teamId }: Writer): string {
  if (teamId === undefined) throw new TypeError("no personal team");
  return teamId;
}

/** SQLSTATEs whose detail is about a key; others show the whole row, and with it a password's hash. */
const KEY_VIOLATIONS: ReadonlySet<string> = new Set(["23503", "23505", "23P01"]);

/** What another try may cure stays as it is; everything else is a failure of seeding. */
export function seedError(error: unknown, what: string): Error {
  if (!(error instanceof Error) || error.name !== "DbError") return error as Error;
  if (isContention(error) || isConnectionTrouble(error)) return error;
  const { server } = error as DbError;
  const isAboutKeys = KEY_VIOLATIONS.has(sqlStateOf(error) ?? "");
  const detail = isAboutKeys && server?.detail !== undefined ? `\ndetail: ${server.detail}` : "";
  const isPrivilege = sqlStateOf(error) === INSUFFICIENT_PRIVILEGE;
  return new HeadgateError(`Cannot seed ${what}: ${withState(error as DbError)}${detail}`, {
    code: "seed-failed",
    hint: isPrivilege
      ? "Nothing of this was written; migrations stay. Grant the role select, insert and update on the gateway's tables, and create on their schema"
      : "Nothing of this was written; migrations stay. Correct the row or the constraint that is named, and run again",
    cause: error,
  });
}
