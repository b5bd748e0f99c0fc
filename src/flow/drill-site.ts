/** The scratch place: where it may be, who left one there before, and its end. */
import { type Scratch, scratchOf } from "../core/drill-scratch.ts";
import type { Fault } from "../core/drill-verdict.ts";
import { HeadgateError } from "../core/error.ts";
import { quoteIdentifier } from "../core/identifier.ts";
import { createScratch, dropScratch, readLeftovers, removalOf, type Site } from "../db/drill.ts";
import { mayNotCreate } from "../db/ledger-create.ts";
import { readTenancy, resolvePlace } from "../db/place.ts";
import type { Connection } from "../ports.ts";
import { type World, withConnection } from "./access.ts";
import type { Route } from "./drill-route.ts";

/** Where the drill's tables go. */
export interface ScratchWish {
  /** Twelve hexadecimal digits that no other drill has. */
  readonly token: string;
  /** False: tables with the drill's name in the current schema. */
  readonly ownsSchema: boolean;
  /** As `options=-c search_path=…` asked for it. */
  readonly searchPath: string | undefined;
}

/** Decides on the place, and creates nothing. @throws {HeadgateError} `privilege-missing` */
export async function chooseScratch(
  connection: Connection,
  site: Site,
  { token, ownsSchema, searchPath }: ScratchWish,
): Promise<Scratch> {
  if (ownsSchema) {
    if (site.mayCreateSchema) return scratchOf(token, undefined);
    throw mayNotCreateSchema(site);
  }
  const name = { schema: undefined, table: scratchOf(token, undefined).name };
  const place = await resolvePlace(connection, name, searchPath);
  const tenancy = await readTenancy(connection, place);
  if (!tenancy.mayCreate) throw mayNotCreate("the scratch tables", place, tenancy);
  return scratchOf(token, place.schema);
}

function mayNotCreateSchema({ role, database }: Site): HeadgateError {
  const [who, where] = [quoteIdentifier(role), quoteIdentifier(database)];
  return new HeadgateError(
    `Cannot create a scratch schema: role ${who} may not create schemas in database ${where} (SQLSTATE 42501)`,
    {
      code: "privilege-missing",
      hint: `Add --schema existing: prefixed tables in the current schema; or, as the database's owner: grant create on database ${where} to ${who}`,
    },
  );
}

/** What an earlier drill left because it was killed itself; one that runs now looks the same. */
export async function warnOfLeftovers(world: World, connection: Connection): Promise<void> {
  for (const scratch of await readLeftovers(connection)) {
    world.log("drill.leftover", { scratch: scratch.name, remedy: removalOf(scratch) });
  }
}

/** Makes it, all or nothing, also when the process is told to stop meanwhile: removal comes after it. */
export function makeScratch(route: Route, scratch: Scratch): Promise<void> {
  return withConnection(route.openCalm(), (connection) => createScratch(connection, scratch));
}

const REMOVAL_TRIES = 2;

/** Removes it, also while the process is stopping; a fault says that it could not be done, and how to. */
export async function removeScratch(
  world: World,
  route: Route,
  scratch: Scratch,
): Promise<readonly Fault[]> {
  let reason = "";
  for (let tries = 0; tries < REMOVAL_TRIES; tries += 1) {
    try {
      await withConnection(route.openCalm(), (connection) => dropScratch(connection, scratch));
      world.log("drill.cleaned", { scratch: scratch.name });
      return [];
    } catch (error) {
      reason = (error as Error).message;
    }
  }
  const remedy = removalOf(scratch);
  world.log("drill.left", { scratch: scratch.name, reason, remedy });
  const what = `${scratch.name} could not be removed: ${reason}`;
  return [{ kind: "scratch-left", what, why: `Nothing uses it; remove it: ${remedy}` }];
}
