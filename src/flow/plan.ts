/** `plan`: what `up` would do, as SQL. Takes no lock; by the time `up` runs it may be less. */
import type { UpWish } from "../core/decide.ts";
import { headOf } from "../core/head.ts";
import type { Migration, NonEmpty } from "../core/migration.ts";
import { decideUpOrResume, type FullDecision } from "../core/resume.ts";
import { refuseUnrunnable } from "../core/runnable.ts";
import { type Access, connectReader, type World, withConnection } from "./access.ts";
import { unreadableError } from "./db-trouble.ts";
import type { SeedPreview } from "./plan-seeds.ts";
import type { Seeding } from "./seeding.ts";
import { readableName, readHeadState } from "./state.ts";

/** What `up` would do now. */
export interface PlanReport {
  /** Ascending by version; empty when nothing is to do. */
  readonly pending: readonly Migration[];
  /** True when `up` would wait for a migration that another runner is building. */
  readonly waits: boolean;
  /** What would be seeded after that; undefined: nothing is, or not yet. */
  readonly seeds: SeedPreview | undefined;
}

/** What the command line asks of `plan`. */
export interface PlanWish extends UpWish {
  readonly seeding: Seeding | undefined;
}

/**
 * Reads the whole ledger and decides as `up` would.
 *
 * @throws {HeadgateError} whatever `up` would refuse with.
 */
export async function plan(
  world: World,
  access: Access,
  bundle: NonEmpty<Migration>,
  wish: PlanWish,
): Promise<PlanReport> {
  const connection = connectReader(world, access);
  return withConnection(connection, async () => {
    const name = await readableName(connection, access.main, access.ledger);
    const { state } = await readHeadState(connection, name, bundle);
    const decision = decideUpOrResume(bundle, state, wish);
    if (decision.kind === "refuse") throw decision.error;
    if (decision.kind === "wait") return { pending: [], waits: true, seeds: undefined };
    const pending = pendingOf(bundle, decision, wish.to);
    refuseUnrunnable(pending, "up");
    const isFull = wish.to === undefined || wish.to >= headOf(bundle).version;
    if (!wish.seeding || !isFull || state.kind === "ahead") {
      return { pending, waits: false, seeds: undefined };
    }
    const { previewSeeds } = await import("./plan-seeds.ts");
    const seeds = await previewSeeds(connection, access, wish.seeding, pending);
    return { pending, waits: false, seeds };
  }).catch((error: unknown) => {
    throw world.stop.aborted ? world.stop.reason : unreadableError(error, access.ledger);
  });
}

/** A migration that lost its runner comes first, and what stands behind it follows. */
function pendingOf(
  bundle: NonEmpty<Migration>,
  decision: FullDecision,
  to = Number.POSITIVE_INFINITY,
): readonly Migration[] {
  if (decision.kind === "apply") return decision.pending;
  if (decision.kind !== "resume") return [];
  const from = decision.migration.version;
  return bundle.filter(({ version }) => version >= from && version <= to);
}
