/**
 * `--reclaim-orphans`: ends a session that holds a needed lock session-level and idle. Four facts
 * force its shape; `test/e2e/reclaim-orphans.test.ts` shows them:
 *
 * (1) SQL cannot tell an orphan from an idle living holder. So there is no default age.
 * (2) Through a pooler the waiting runners' own questions run on the holder's session. So one
 *     runner watches, on another session, and the others keep quiet meanwhile.
 * (3) A holder that works between two looks must be seen. So the looks of the last ten seconds are
 *     close together, and the statement that ends the session looks once more (`db/terminate.ts`).
 * (4) Two runners may come to the same end. That statement names the session's start, so that the
 *     second one finds nothing to end, nor another session that has got the pid.
 */
import { INSUFFICIENT_PRIVILEGE, sqlStateOf } from "../core/db-error.ts";
import { HeadgateError } from "../core/error.ts";
import { type Sighting, sightHolder, whyAwake } from "../core/idle-holder.ts";
import type { Lock } from "../core/locks.ts";
import { terminateHolder, tryReclaimKey } from "../db/terminate.ts";
import type { Access, World } from "./access.ts";
import { beside, type Look } from "./beside.ts";
import { mayNotEnd } from "./may-not-end.ts";

/** Whom to end, for whom. */
export interface ReclaimWish {
  readonly sighting: Sighting;
  readonly foreignKey: bigint | undefined;
  readonly runId: string;
}

/** Over which the samples are spread. */
const SAMPLE_MS = 10_000;
/** Others' questions may keep the session busy for so long; then it is left alone. */
const WATCH_MAX_MS = 20_000;
const SAMPLE_PAUSE_MS = 250;
const SAMPLES_MIN = 3;

/**
 * Watches the holder, and ends it if it stays idle. `watched`: another runner is at it.
 *
 * @throws {HeadgateError} `refused` when it lives or cannot be looked at; `privilege-missing`
 */
export async function reclaimHolder(
  world: World,
  access: Access,
  { sighting, foreignKey, runId }: ReclaimWish,
): Promise<"ended" | "watched"> {
  const pid = Number(sighting.holder.pid);
  return beside(world, access, { pid, lockId: foreignKey, runId }, async (eye) => {
    if (!(await tryReclaimKey(eye.connection, eye.place))) return "watched";
    await endOnceIdle(world, eye, sighting);
    return "ended";
  });
}

async function endOnceIdle({ clock }: World, eye: Look, first: Sighting): Promise<void> {
  const startMs = clock.nowMs();
  let sighting = first;
  for (let samples = 0; ; await clock.sleep(SAMPLE_PAUSE_MS)) {
    const spentMs = clock.nowMs() - startMs;
    if (spentMs >= WATCH_MAX_MS) refuseAwake(first.holder, "its session is in use");
    const now = sightHolder(sighting, await eye.locks(), clock.nowMs());
    refuseAwake(first.holder, whyAwake(sighting, now));
    if (now === undefined || now === sighting) continue;
    sighting = now;
    samples += 1;
    const isSure = samples >= SAMPLES_MIN && spentMs >= SAMPLE_MS;
    if (isSure && (await isEnded(eye, now.holder))) return;
  }
}

/** False: somebody has just used its session, maybe only another runner's question. */
async function isEnded({ connection, place }: Look, holder: Lock): Promise<boolean> {
  try {
    const end = await terminateHolder(connection, place, { holder, isForced: false });
    if (end === "still-there") refuseAwake(holder, "it was told to end, and has not within 5 s");
    return end === "ended";
  } catch (error) {
    const isMissing = sqlStateOf(error) === INSUFFICIENT_PRIVILEGE;
    throw isMissing ? mayNotEnd(holder, error) : error;
  }
}

function refuseAwake({ pid }: Lock, why: string | undefined): void {
  if (why === undefined) return;
  throw new HeadgateError(`Cannot reclaim the lock of pid ${pid}: ${why}`, {
    code: "refused",
    hint: 'Look at it with "headgate locks"',
  });
}
