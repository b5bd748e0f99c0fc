/** Runs one case from an empty database to its evidence. */
import { type Run, type Started, start } from "../support/headgate.ts";
import { leftBehind } from "./aftermath.ts";
import { type Case, MOMENTS } from "./cases.ts";
import type { End, Evidence, Settled } from "./evidence.ts";
import { harm } from "./harm.ts";
import { openHold } from "./hold.ts";
import { needsPerson } from "./invariants.ts";
import { settle } from "./person.ts";
import { bundleOf, type Site } from "./site.ts";
import {
  type Cast,
  endOf,
  optionsOf,
  relayOf,
  type Stage,
  startOther,
  startVictim,
} from "./stage.ts";
import { openWatch } from "./watch.ts";

const WAITERS = 2;
const ARRIVAL_PATIENCE_MS = 4000;

export async function runCase(site: Site, each: Case, cast: Cast): Promise<Evidence> {
  const startMs = performance.now();
  const { family } = MOMENTS[each.moment];
  const place = await site.open(each);
  const watch = openWatch(place.database.url, family);
  const relay = await relayOf(place, each);
  try {
    const facts = await play({ place, each, cast, watch, relay });
    return { each, ...facts, wallMs: performance.now() - startMs };
  } finally {
    await watch.stop();
    await relay?.close();
    await place.close();
  }
}

type Facts = Omit<Evidence, "each" | "wallMs">;

async function play(stage: Stage): Promise<Facts> {
  const { each, watch, relay } = stage;
  const { url } = stage.place.database;
  const hold = await openHold({ each, url, relay });
  const victim = startVictim(stage, hold.env);
  try {
    await Promise.race([hold.reached(), victim.done.then(endedEarly)]);
    const waiters = Array.from({ length: WAITERS }, (_, n) => startOther(stage, `waiter-${n}`));
    await arrival(stage, waiters);
    await Bun.sleep(400 * each.chance);
    const { tails, answers } = await harm(stage, { victim, waiters, hold });
    const ends = [
      await endOf("victim", victim),
      ...(await Promise.all(waiters.map((waiter) => endOf("waiter", waiter)))),
    ];
    const { settled, converged } = await converge(stage);
    const last = await watch.look();
    const left = await leftBehind(url, each.moment, last);
    const seen = await watch.stop();
    return { ends: [...ends, ...converged], tails, answers, settled, left, seen };
  } finally {
    victim.kill("SIGKILL");
    await hold.release();
  }
}

/** Until both waiters have been seen on the server; in a pool that is full they cannot be. */
async function arrival({ each, watch }: Stage, waiters: readonly Started[]): Promise<void> {
  const patienceMs = each.route === "direct" ? ARRIVAL_PATIENCE_MS : ARRIVAL_PATIENCE_MS / 4;
  const missing = new Set(waiters.map((_, n) => `waiter-${n}`));
  await watch.until((look) => {
    for (const { name } of look?.sessions ?? []) missing.delete(name);
    return missing.size === 0;
  }, patienceMs);
}

function endedEarly({ status, stderr }: Run): never {
  throw new Error(`the victim ended with ${status} before its moment: ${stderr}`);
}

async function converge(
  stage: Stage,
): Promise<{ readonly settled: Settled | undefined; readonly converged: readonly End[] }> {
  const { each, place } = stage;
  const first = startOther(stage, "converger");
  const refused = await first.done;
  let settled: Settled | undefined;
  let end = await endOf("converger", first);
  if (refused.status === 4 && needsPerson(each)) {
    const plight = {
      refused,
      bundle: bundleOf(each),
      url: place.database.url,
      finishes: each.chance < 0.5,
    };
    settled = await settle({ ...plight, options: optionsOf(stage, "person") });
    end = await endOf("converger", startOther(stage, "converger"));
  }
  const args = ["status", ...bundleOf(each), "--exit-code"];
  const status = start(args, optionsOf(stage, "status"));
  return { settled, converged: [end, await endOf("status", status)] };
}
