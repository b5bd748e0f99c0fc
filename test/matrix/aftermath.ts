/** What a database must be like once a case is over. */
import { indexState } from "../support/build.ts";
import { query } from "../support/query.ts";
import { EXPECTED, seedCounts } from "../support/seeds.ts";
import { bundleName, type Family, MOMENTS, type MomentName } from "./cases.ts";
import type { Invariant, Violation } from "./evidence.ts";
import type { Look } from "./watch.ts";
import type { Snapshot } from "./witness.ts";

/** Every migration of the case is there. */
export function isAtHead({ snapshot }: Look, moment: MomentName): boolean {
  return (
    MOMENTS[moment].family === "seed" || [1, 2].every((each) => snapshot.applied.includes(each))
  );
}

/** @param last The last look, with nobody at work any more. */
export async function leftBehind(
  url: string,
  moment: MomentName,
  last: Look | undefined,
): Promise<readonly Violation[]> {
  if (!last) return [{ invariant: "I6", text: "the server does not answer" }];
  const holders = last.sessions.filter(({ holds }) => holds);
  return [
    ...unless(holders.length === 0, "I3", `a lock of the gate is left: ${JSON.stringify(holders)}`),
    ...unless(isAtHead(last, moment), "I6", `not at head: ${JSON.stringify(last.snapshot)}`),
    ...(await familyLeft(url, MOMENTS[moment].family, moment, last.snapshot)),
  ];
}

async function familyLeft(
  url: string,
  family: Family,
  moment: MomentName,
  { logged, effects }: Snapshot,
): Promise<readonly Violation[]> {
  if (family === "seed") {
    const counts = { ...(await seedCounts(url)), openTransactions: 0 }; // the watch's own is one
    return unless(Bun.deepEquals(counts, EXPECTED), "I2", `seeded ${JSON.stringify(counts)}`);
  }
  if (family === "inside") {
    const isOnce = isOneAndTwo(logged) && isOneAndTwo(effects);
    return unless(isOnce, "I1", `bodies ran ${logged.join(", ")}, effects ${effects.join(", ")}`);
  }
  if (bundleName(moment) === "unrepeatable") {
    const rows = await query(
      url,
      "select mark, count(*)::int as n from witness.log where version = 2 group by 1 order by 1",
    );
    const marks = rows.map(({ mark, n }) => `${mark} ${n}`).join(", ");
    return unless(marks === "enter 1, first 1, last 1", "I1", `statements ran: ${marks}`);
  }
  const states = [await indexState(url, "t_c"), await indexState(url, "t_d")].join(", ");
  const invalid = await query(url, "select from pg_index where not indisvalid");
  return unless(states === "valid, valid" && invalid.length === 0, "I2", `indexes: ${states}`);
}

function isOneAndTwo(list: readonly number[]): boolean {
  return [...list].sort().join() === "1,2";
}

function unless(isFine: boolean, invariant: Invariant, text: string): readonly Violation[] {
  return isFine ? [] : [{ invariant, text }];
}
