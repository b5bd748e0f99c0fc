/** Two addresses, one for the work and one for the application's questions, must lead to one database. */
import { decideUp, type UpWish } from "../core/decide.ts";
import { HeadgateError } from "../core/error.ts";
import { headState } from "../core/head.ts";
import type { Ledger } from "../core/ledger.ts";
import { describeTarget } from "../core/target.ts";
import { readLedger } from "../db/ledger.ts";
import {
  type Access,
  type BundleSource,
  connectReader,
  type World,
  withConnection,
} from "./access.ts";
import { readableName } from "./state.ts";

/**
 * Looks once through the probe's own address, when the work went through another one.
 *
 * @throws {HeadgateError} `migration-failed`: what was migrated is not what pods will ask.
 */
export async function refuseSplitBrain(
  world: World,
  access: Access,
  source: BundleSource,
  wish: UpWish,
): Promise<void> {
  const { main, direct } = access;
  if (!direct) return;
  const seen = headState(await source.load(), await readThroughMain(world, access));
  if (decideUp(seen, wish).kind === "nothing") return;
  throw new HeadgateError(
    `Cannot see the migrated schema where the application looks: migrated ${describeTarget(direct)} (${direct.source}), but ${describeTarget(main)} (${main.source}) is not at head`,
    {
      code: "migration-failed",
      hint: "Both addresses must lead to one database: correct one of the two variables",
    },
  );
}

function readThroughMain(world: World, access: Access): Promise<Ledger> {
  const connection = connectReader(world, access);
  return withConnection(connection, async () =>
    readLedger(connection, await readableName(connection, access.main, access.ledger)),
  );
}
