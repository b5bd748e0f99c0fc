/** What `up` would seed after its migrations: for `plan`, which only reads. */
import type { Migration } from "../core/migration.ts";
import type { RbacFound } from "../core/rbac.ts";
import { diffRbac } from "../core/rbac-diff.ts";
import { describeChange } from "../core/rbac-text.ts";
import { seedState, seedsTable } from "../core/seed-mark.ts";
import { resolvePlace } from "../db/place.ts";
import { readSeeds } from "../db/seeds.ts";
import type { Connection } from "../ports.ts";
import type { Access } from "./access.ts";
import { seedError } from "./rbac-act.ts";
import { describeMissing, lookAtRbac } from "./rbac-look.ts";
import type { SeedChange, Seeding } from "./seeding.ts";

/** All empty: nothing would be seeded. */
export interface SeedPreview {
  readonly changes: readonly SeedChange[];
  /** Files of `--seeds` that would run. */
  readonly files: readonly string[];
  /** Why nothing of the gateway's would be looked for. */
  readonly skipped: string | undefined;
  /** What no unique index backs: `up` would refuse without --without-constraints. */
  readonly unbacked: readonly string[];
}

const EMPTY: RbacFound = {
  strayTeams: [],
  admin: undefined,
  roles: [],
  team: undefined,
  teamSlugs: [],
  grants: [],
  orphans: { rows: [], taken: [] },
};

/**
 * Of the database as it is; tables that pending migrations are going to make count as empty.
 *
 * @throws {HeadgateError} `seed-failed`
 */
export async function previewSeeds(
  connection: Connection,
  access: Access,
  seeding: Seeding,
  pending: readonly Migration[],
): Promise<SeedPreview> {
  const { searchPath } = access.main;
  try {
    const place = await resolvePlace(connection, access.ledger, searchPath);
    const rbac = await previewRbac(connection, place, { seeding, pending, searchPath });
    const records = await readSeeds(connection, seedsTable(place));
    const { custom } = seeding;
    const isRun = custom === undefined || seedState(custom.mark, records) === "seeded";
    return { ...rbac, files: isRun ? [] : custom.files.map(({ file }) => file) };
  } catch (error) {
    throw seedError(error, "anything");
  }
}

async function previewRbac(
  connection: Connection,
  place: Parameters<typeof lookAtRbac>[1],
  wish: {
    readonly seeding: Seeding;
    readonly pending: readonly Migration[];
    readonly searchPath: string | undefined;
  },
): Promise<Omit<SeedPreview, "files">> {
  const { seeding, pending, searchPath } = wish;
  const look = { searchPath, makesRecord: true, except: [] };
  const sight = await lookAtRbac(connection, place, seeding, look);
  const nothing = { changes: [], unbacked: [], skipped: undefined };
  if (sight.kind === "newer") {
    return { ...nothing, skipped: "a newer version has seeded this database" };
  }
  if (sight.kind === "present") {
    const { plan, catalog } = sight.todo;
    return { ...nothing, changes: plan.changes.map(toChange), unbacked: catalog.unbacked };
  }
  const tables = sight.missing.filter((name) => !name.includes("."));
  const areComing = tables.every((table) => pending.some(({ up }) => up.sql.includes(table)));
  if (!areComing) return { ...nothing, skipped: describeMissing(sight.missing) };
  return { ...nothing, changes: diffRbac(seeding.wish, EMPTY).changes.map(toChange) };
}

function toChange(change: Parameters<typeof describeChange>[0]): SeedChange {
  return { kind: change.kind, what: describeChange(change) };
}
