/** Seeding as the command `seed`, and as the half of `up` behind its migrations. */
import { isConnectionTrouble } from "../core/db-error.ts";
import { notReadyError } from "../core/decide.ts";
import { HeadgateError } from "../core/error.ts";
import { type Head, type HeadState, headState, isReady, tipOf, tipState } from "../core/head.ts";
import type { Connection } from "../ports.ts";
import type { Access, BundleSource, World } from "./access.ts";
import { unreadableError } from "./db-trouble.ts";
import { seedDatabase } from "./seed.ts";
import type { Seeding, SeedReport, SeedWork } from "./seeding.ts";
import { readHeadState } from "./state.ts";

/** In whose name, and how long to wait. */
export type SeedRequest = Pick<SeedWork, "run" | "lockWaitMs" | "lockId" | "reclaimAfterMs">;

/** What to seed, and how. */
export interface SeedWish {
  readonly seeding: Seeding;
  readonly request: SeedRequest;
}

const AHEAD = "the database is ahead of this version";

/**
 * The command. The schema must be at head; ahead of it a newer binary seeds.
 *
 * @throws {HeadgateError} as `seedDatabase`, and what `notReadyError` says of the schema
 */
export async function seed(
  world: World,
  access: Access,
  source: BundleSource,
  { seeding, request }: SeedWish,
): Promise<SeedReport> {
  let isAhead = false;
  const judge = (state: HeadState): boolean => {
    if (state.kind !== "at-head" && !isReady(state, "at-least")) {
      throw notReadyError(state, "at-least");
    }
    if (state.kind === "ahead" && !isAhead) world.log("seed.skipped", { reason: AHEAD });
    isAhead = state.kind === "ahead";
    return !isAhead;
  };
  const work: SeedWork = {
    ...request,
    hasLedger: true,
    isReady: async (connection, place) => {
      const { state } = await readHeadState(connection, place, await source.load()).catch(
        (error: unknown) => {
          throw isConnectionTrouble(error) ? error : unreadableError(error, place);
        },
      );
      return judge(state);
    },
    isSeedable: async (ledger) => judge(headState(await source.load(), ledger)),
  };
  const report = await seedDatabase(world, access, { seeding, work });
  return isAhead ? { ...report, skipped: AHEAD } : report;
}

/** `seed --no-ledger`: the tables are all that is needed. @throws as `seedDatabase` */
export function seedTables(
  world: World,
  access: Access,
  { seeding, request }: SeedWish,
): Promise<SeedReport> {
  const always = async (): Promise<boolean> => true;
  const work = { ...request, hasLedger: false, isReady: always, isSeedable: always };
  return seedDatabase(world, access, { seeding, work });
}

/**
 * For `up`, which has seen the head: the migrations are committed, so a failure has a status of its
 * own, or is a warning. What is not at head any more inside the gate is another run's business.
 *
 * @throws {HeadgateError} `seed-failed`; what stops the process stays as it is
 */
export async function seedAfterUp(
  world: World,
  access: Access,
  { seeding, request, head }: SeedWish & { readonly head: Head },
  opened?: Connection,
): Promise<SeedReport | undefined> {
  const work: SeedWork = {
    ...request,
    hasLedger: true,
    isReady: async () => true,
    isSeedable: async (ledger) => tipState(head, tipOf(head, ledger)).kind === "at-head",
  };
  try {
    return await seedDatabase(world, access, { seeding, work }, opened);
  } catch (error) {
    if (world.stop.aborted) throw world.stop.reason;
    if (!(error instanceof HeadgateError)) throw error;
    if (seeding.onFailure === "fail") throw asSeedFailure(error);
    world.log("seed.failed", { reason: error.message, hint: error.hint });
    return undefined;
  }
}

function asSeedFailure(error: HeadgateError): HeadgateError {
  if (error.code === "seed-failed") return error;
  const options = { code: "seed-failed", cause: error } as const;
  return new HeadgateError(
    `Cannot seed, while the migrations are done: ${error.message}`,
    error.hint === undefined ? options : { ...options, hint: error.hint },
  );
}
