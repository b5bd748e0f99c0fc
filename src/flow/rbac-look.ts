/** Reads the gateway's tables and judges them: the same look without the gate and inside it. */
import { HeadgateError } from "../core/error.ts";
import type { LedgerPlace } from "../core/ledger.ts";
import type { OrphansFound } from "../core/orphan.ts";
import type { RbacPlan } from "../core/rbac.ts";
import type { RbacCatalog } from "../core/rbac-catalog.ts";
import { diffRbac } from "../core/rbac-diff.ts";
import { type SeedMark, seedState, seedsTable } from "../core/seed-mark.ts";
import { readOrphans } from "../db/orphans.ts";
import { readRbacCatalog } from "../db/rbac-catalog.ts";
import { type Duplicate, readDuplicates, readRbac } from "../db/rbac-read.ts";
import { readSeeds } from "../db/seeds.ts";
import type { Connection } from "../ports.ts";
import type { Seeding } from "./seeding.ts";

/** How many orphans one transaction takes on: the gate is not held for longer than that takes. */
const ORPHANS_AT_ONCE = 500;

/** What a look needs beside the definition. */
export interface LookWish {
  /** Looked along instead of the session's, outside of a transaction. */
  readonly searchPath: string | undefined;
  /** False: what was seeded is remembered only where a table for it is there already. */
  readonly makesRecord: boolean;
  /** Orphans that this run could not assign, as `orphanKey` names them. */
  readonly except: readonly string[];
}

/** What there is to do. */
export interface RbacTodo {
  readonly catalog: RbacCatalog;
  readonly plan: RbacPlan;
  /** What is to be recorded as seeded. */
  readonly marks: readonly SeedMark[];
  /** Recorded definitions that are not given any more: a roles file. */
  readonly forgets: readonly string[];
}

/** Of tables and columns that are not there. */
const MISSING_SHOWN = 3;

/** Why this is not the gateway's database. */
export function describeMissing(missing: readonly string[]): string {
  const more = missing.length > MISSING_SHOWN ? ", …" : "";
  return `the database has no ${missing.slice(0, MISSING_SHOWN).join(", ")}${more}`;
}

/** Equal for two looks that found the same to do. */
export function signatureOf({ plan, marks, forgets }: RbacTodo): string {
  return JSON.stringify([plan.changes, marks, forgets]);
}

/** `absent`: not the gateway's database. `newer`: a later binary seeded it. */
export type RbacSight =
  | { readonly kind: "absent"; readonly missing: readonly string[] }
  | { readonly kind: "newer" }
  | { readonly kind: "present"; readonly todo: RbacTodo; readonly isDone: boolean };

/**
 * One look: catalog, records and rows.
 *
 * @throws {HeadgateError} `seed-failed` when a role to be granted is nowhere defined
 */
export async function lookAtRbac(
  connection: Connection,
  place: LedgerPlace,
  seeding: Pick<Seeding, "wish" | "marks">,
  wish: LookWish,
): Promise<RbacSight> {
  const seeds = seedsTable(place);
  const catalog = await readRbacCatalog(connection, seeds, wish.searchPath);
  if (catalog.missing.length > 0) return { kind: "absent", missing: catalog.missing };
  const records = catalog.hasSeeds ? await readSeeds(connection, seeds) : [];
  const states = seeding.marks.map((mark) => ({ mark, state: seedState(mark, records) }));
  if (states.some(({ state }) => state === "newer")) return { kind: "newer" };
  const plan = await readPlan(connection, catalog.schema, seeding, wish);
  const keepsRecord = wish.makesRecord || catalog.hasSeeds;
  const stale = states.filter(({ state }) => state === "stale").map(({ mark }) => mark);
  const marks = keepsRecord ? stale : [];
  const given = new Set<string>(seeding.marks.map(({ name }) => name));
  const forgets = records
    .map(({ name }) => name)
    .filter((name) => name === "rbac-file" && !given.has(name));
  const isDone = plan.changes.length + marks.length + forgets.length === 0;
  return { kind: "present", todo: { catalog, plan, marks, forgets }, isDone };
}

const NO_ORPHANS: OrphansFound = { rows: [], taken: [] };

async function readPlan(
  connection: Connection,
  schema: string,
  { wish: { accounts } }: Pick<Seeding, "wish">,
  { except }: LookWish,
): Promise<RbacPlan> {
  const email = accounts?.admin.email;
  const whose = email === undefined ? undefined : { email, teamSlug: accounts?.team?.slug ?? "" };
  const found = await readRbac(connection, schema, whose);
  const mode = accounts?.orphans ?? "leave";
  const orphans =
    email === undefined || mode === "leave"
      ? NO_ORPHANS
      : await readOrphans(connection, schema, {
          email,
          mode,
          separator: accounts?.separator ?? "-",
          limit: ORPHANS_AT_ONCE,
          except,
        });
  return diffRbac({ accounts }, { ...found, orphans });
}

/**
 * Where nothing keeps rows unique there may be duplicates, and two writers may both be first.
 *
 * @returns The duplicates, for a warning.
 * @throws {HeadgateError} `seed-failed` when there is something to write and nobody said to do it.
 */
export async function refuseUnbacked(
  connection: Connection,
  { catalog, plan }: RbacTodo,
  withoutConstraints: boolean,
): Promise<readonly Duplicate[]> {
  if (catalog.unbacked.length === 0) return [];
  const duplicates = await readDuplicates(connection, catalog.schema);
  if (plan.changes.length === 0 || withoutConstraints) return duplicates;
  const found = duplicates.map(({ what, count }) => `${what}: ${count} times`);
  const also = found.length === 0 ? "" : `; there are duplicates already: ${found.join("; ")}`;
  throw new HeadgateError(
    `Cannot seed: no unique index backs ${catalog.unbacked.join(", ")}${also}`,
    {
      code: "seed-failed",
      hint: "Apply the migration that merges duplicates and adds the indexes (embedded: dedupe_then_constrain_rbac); or pass --without-constraints to rely on the lock alone",
    },
  );
}
