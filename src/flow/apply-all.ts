/** Applies migrations one behind the other, without waiting for one before the next is sent. */
import type { LedgerPlace } from "../core/ledger.ts";
import type { Migration, NonEmpty } from "../core/migration.ts";
import type { KnownFrame } from "../db/body.ts";
import type { Run } from "../db/record.ts";
import type { Connection } from "../ports.ts";
import type { World } from "./access.ts";
import { type Applied, applyMigration, reporting, TurnLost } from "./apply.ts";
import type { Inside } from "./step.ts";

/** A run that dies leaves no more than these to a server that has them already. */
const IN_FLIGHT_MAX = 20;
/** More are sent when so few are left: several at once, and before the server has nothing to do. */
const IN_FLIGHT_MIN = 5;

/** Of their texts: what waits on its way to the server is held in memory, maybe twice. */
const IN_FLIGHT_CHARS_MAX = 1_000_000;

/** What is applied, and how. */
export interface Succession {
  readonly plan: NonEmpty<Migration>;
  readonly run: Run;
  /** Of the transaction that is open, which the first of them is applied in. */
  readonly frame: KnownFrame;
  /** All in that transaction; else each in one of its own. */
  readonly isAtomic: boolean;
  readonly lockTimeoutMs: number;
  /** When it is committed. */
  readonly onApplied: (done: readonly Applied[]) => void;
}

interface Flight {
  readonly migration: Migration;
  readonly answer: Promise<Applied>;
}

/**
 * Up to the first that does not go through. Where that is because the ledger moved, it is no error:
 * whoever reads the ledger again sees what is left.
 *
 * @throws as `applyMigration`, for the first that failed, once all that was sent is answered.
 */
export async function applyAll(
  world: World,
  connection: Connection,
  place: LedgerPlace,
  work: Succession & { readonly inside: Inside },
): Promise<void> {
  const flights: Flight[] = [];
  const done: Applied[] = [];
  const land = async (left: number): Promise<void> => {
    while (flights.length > left) {
      done.push(await landed(world, flights.shift() as Flight));
      if (!work.isAtomic) work.onApplied(done.splice(0));
    }
  };
  try {
    for (const [index, migration] of work.plan.entries()) {
      if (flights.length === IN_FLIGHT_MAX) await land(IN_FLIGHT_MIN);
      if (charsOf(flights) > IN_FLIGHT_CHARS_MAX) await land(0);
      const turn = { ...work, migration, ...bounds(work, index) };
      const answer = applyMigration(connection, place, turn);
      answer.catch(() => undefined);
      flights.push({ migration, answer });
    }
    await land(0);
    work.onApplied(done);
  } catch (error) {
    await Promise.allSettled(flights.map(({ answer }) => answer));
    if (!(error instanceof TurnLost)) throw error;
  }
}

function charsOf(flights: readonly Flight[]): number {
  return flights.reduce((sum, { migration }) => sum + migration.up.sql.length, 0);
}

/** Where its transaction begins and ends. */
function bounds(
  { plan, isAtomic, inside }: Succession & { readonly inside: Inside },
  index: number,
): Pick<Parameters<typeof applyMigration>[2], "begin" | "commit"> {
  const below = isAtomic ? undefined : plan[index - 1];
  return {
    begin: below && ((limits) => inside.beginNext(below, limits)),
    commit: isAtomic && index < plan.length - 1 ? undefined : inside.commit,
  };
}

/** Its turn is when all before it are done. */
async function landed(world: World, { migration, answer }: Flight): Promise<Applied> {
  const report = reporting(world, migration);
  try {
    return await answer;
  } finally {
    report.end();
  }
}
