/** Does a case's deed and sees what it leads to. */
import { headgate, type Started, withUrl } from "../support/headgate.ts";
import { isAtHead } from "./aftermath.ts";
import { DEEDS, type Scene } from "./deeds.ts";
import type { Answer, Tail } from "./evidence.ts";
import { boundMsOf } from "./invariants.ts";
import { bundleOf } from "./site.ts";
import type { Stage } from "./stage.ts";
import { PROBE } from "./watch.ts";

/** How far beyond its bound a lock is still looked for. */
const TAIL_PATIENCE_MS = 5000;

/** Who is there when it happens. */
export interface Actors {
  readonly victim: Started;
  readonly waiters: readonly Started[];
  readonly hold: Scene["hold"];
}

/** The deed, with a probe on either side of it. */
export async function harm(
  stage: Stage,
  { victim, waiters, hold }: Actors,
): Promise<{ readonly tails: readonly Tail[]; readonly answers: readonly Answer[] }> {
  const { each, watch } = stage;
  await watch.look();
  const locks = followLocks(stage);
  const others = waiters.map(({ done }) => done);
  const first = probe(stage);
  await DEEDS[each.fault]({ ...stage, ...locks, victim, hold, others });
  const answers = await Promise.all([first, probe(stage)]);
  return { tails: locks.tails(), answers };
}

type Locks = Pick<Scene, "doomed" | "struck" | "untilUnlocked"> & { tails(): readonly Tail[] };

/** The locks of the gate that the victim holds now, and how long they stay. */
function followLocks({ each, watch }: Stage): Locks {
  const boundMs = boundMsOf(each);
  const doomed = new Set(watch.holders().map(({ session }) => session));
  let struckMs = Date.now();
  const isHeld = (): boolean => watch.holders().some(({ session }) => doomed.has(session));
  return {
    doomed,
    struck: () => {
      struckMs = Date.now();
    },
    untilUnlocked: () => watch.until(() => !isHeld(), (boundMs ?? 0) + TAIL_PATIENCE_MS),
    tails: () => {
      if (boundMs === undefined) return [];
      const tailOf = (session: string): number => (watch.lastHeld(session) ?? 0) - struckMs;
      return [...doomed].map((session) => ({ ms: Math.max(0, tailOf(session)), boundMs }));
    },
  };
}

async function probe(stage: Stage): Promise<Answer> {
  const { each, place, watch } = stage;
  const url = new URL(place.probeUrl);
  url.searchParams.set("application_name", PROBE);
  const run = await headgate(
    ["probe", ...bundleOf(each)],
    withUrl(url.href, { HEADGATE_TIMEOUT: "2s" }),
  );
  const look = run.status === 0 ? await watch.look() : undefined;
  return {
    status: run.status,
    reason: run.stderr + run.stdout,
    isAtHead: look === undefined || isAtHead(look, each.moment),
  };
}
