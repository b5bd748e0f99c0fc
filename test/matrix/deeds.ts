/** What each fault does, to whom, and when the victim is let go. */
import postgres from "postgres";
import type { FaultRelay } from "../support/fault-relay.ts";
import type { Run, Started } from "../support/headgate.ts";
import { query } from "../support/query.ts";
import { type Case, type FaultName, MOMENTS } from "./cases.ts";
import type { Hold } from "./hold.ts";
import type { Place } from "./site.ts";
import type { Watch } from "./watch.ts";

/** A case in the middle: the victim is at its moment, and others run too. */
export interface Scene {
  readonly each: Case;
  readonly place: Place;
  readonly watch: Watch;
  readonly relay: FaultRelay | undefined;
  readonly hold: Hold;
  readonly victim: Started;
  readonly others: readonly Promise<Run>[];
  /** Until the victim's sessions of before the deed hold nothing, or far beyond every bound. */
  readonly untilUnlocked: () => Promise<void>;
}

const OTHERS_PATIENCE_MS = 90_000;
const EXIT_PATIENCE_MS = 10_000;
const ANSWER_PATIENCE_MS = 5000;

type Deed = (scene: Scene) => Promise<void>;

/** Each ends with the hold released and every process able to go on. */
export const DEEDS: Readonly<Record<FaultName, Deed>> = {
  SIGKILL: async ({ victim, untilUnlocked, hold }) => {
    victim.kill("SIGKILL");
    await untilUnlocked();
    await hold.release();
  },
  SIGTERM: async ({ each, victim, hold }) => {
    victim.kill("SIGTERM");
    const { at } = MOMENTS[each.moment];
    const isHeldByOthers = ["body", "lock-wait", "build", "answer"].includes(at);
    if (isHeldByOthers) await Promise.race([victim.done, Bun.sleep(EXIT_PATIENCE_MS)]);
    await hold.release();
  },
  "short freeze": async ({ each, victim, hold }) => {
    victim.kill("SIGSTOP");
    await Bun.sleep(300 + 600 * each.chance);
    victim.kill("SIGCONT");
    await hold.release();
  },
  "long freeze": async ({ victim, hold, untilUnlocked, others }) => {
    victim.kill("SIGSTOP");
    await hold.release();
    await untilUnlocked();
    await Promise.race([Promise.all(others), Bun.sleep(OTHERS_PATIENCE_MS)]);
    victim.kill("SIGCONT");
  },
  "line silent": async ({ each, relay, hold, untilUnlocked }) => {
    relay?.silence();
    await Bun.sleep(200 * each.chance);
    await hold.release();
    await untilUnlocked();
  },
  "line reset": async ({ relay, hold, untilUnlocked }) => {
    relay?.reset();
    await untilUnlocked();
    await hold.release();
  },
  "backend terminated": async ({ each, place, watch, hold, untilUnlocked }) => {
    const pids = pidsToEnd(watch, each.chance);
    await query(
      place.database.url,
      `select pg_terminate_backend(pid) from unnest('{${pids}}'::int[]) pid`,
    );
    await untilUnlocked();
    await hold.release();
  },
  "server restarted": async ({ place, hold }) => {
    await place.postgres.restart("fast");
    await hold.release();
  },
  "server crashed": async ({ place, hold }) => {
    await place.postgres.restart("immediate");
    await hold.release();
  },
  "pooler restarted": async ({ place, hold, untilUnlocked }) => {
    await place.pooler?.restart();
    await untilUnlocked();
    await hold.release();
  },
  "pooler KILL": async (scene) => {
    const { place, hold, untilUnlocked } = scene;
    await command(scene, "kill");
    await untilUnlocked();
    // PgBouncer 1.18 crashes or hangs when a client logs in at that moment: then it is replaced.
    await command(scene, "resume").catch(() => place.pooler?.restart());
    await hold.release();
  },
  "pooler PAUSE": async (scene) => {
    const { each, hold } = scene;
    // PAUSE answers when every transaction has ended, which only those who are let go can do.
    const paused = command(scene, "pause").catch(() => undefined);
    await Bun.sleep(100 + 400 * each.chance);
    await hold.release();
    await Promise.race([paused, Bun.sleep(1500)]);
    await command(scene, "resume");
    await paused;
  },
};

/** All of the victim's sessions, or only those that hold the gate, or only the others. */
function pidsToEnd(watch: Watch, chance: number): readonly number[] {
  const victims = watch.victims();
  const holders = victims.filter(({ holds }) => holds);
  const others = victims.filter(({ holds }) => !holds);
  const chosen = [victims, holders, others][Math.floor(chance * 3)] ?? [];
  return (chosen.length > 0 ? chosen : victims).map(({ pid }) => pid);
}

/** A command of PgBouncer's own console, for this database alone. @throws when it does not answer. */
async function command({ place }: Scene, verb: "kill" | "pause" | "resume"): Promise<void> {
  const url = place.pooler?.adminUrl ?? "";
  const sql = postgres(url, { max: 1, prepare: false, fetch_types: false, connect_timeout: 3 });
  const late = Bun.sleep(ANSWER_PATIENCE_MS).then(() => Promise.reject(new Error("no answer")));
  try {
    await Promise.race([sql.unsafe(`${verb} ${place.database.name}`).simple(), late]);
  } finally {
    await sql.end({ timeout: 1 });
  }
}
