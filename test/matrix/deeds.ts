/** What each fault does, to whom, and when the victim is let go. */
import postgres from "postgres";
import type { FaultRelay } from "../support/fault-relay.ts";
import type { Run, Started } from "../support/headgate.ts";
import { query } from "../support/query.ts";
import { type Case, type FaultName, isHeldElsewhere } from "./cases.ts";
import type { Hold } from "./hold.ts";
import type { Place } from "./site.ts";
import type { Watch } from "./watch.ts";
import type { Session } from "./witness.ts";

/** A case in the middle: the victim is at its moment, and others run too. */
export interface Scene {
  readonly each: Case;
  readonly place: Place;
  readonly watch: Watch;
  readonly relay: FaultRelay | undefined;
  readonly hold: Hold;
  readonly victim: Started;
  readonly others: readonly Promise<Run>[];
  /** Sessions of the victim that held the gate before the deed, and that the deed is to end. */
  readonly doomed: Set<string>;
  /** Now it has happened: from here on a lock outlives its owner, or its patience begins. */
  readonly struck: () => void;
  /** Until these hold nothing, or far beyond every bound. */
  readonly untilUnlocked: () => Promise<void>;
}

const OTHERS_PATIENCE_MS = 90_000;
const EXIT_PATIENCE_MS = 10_000;
const ANSWER_PATIENCE_MS = 10_000;

type Deed = (scene: Scene) => Promise<void>;

/** Each ends with the hold released and every process able to go on. */
export const DEEDS: Readonly<Record<FaultName, Deed>> = {
  SIGKILL: async ({ victim, struck, untilUnlocked, hold }) => {
    victim.kill("SIGKILL");
    struck();
    await untilUnlocked();
    await hold.release();
  },
  SIGTERM: async ({ each, victim, struck, untilUnlocked, hold }) => {
    victim.kill("SIGTERM");
    if (!isHeldElsewhere(each)) await hold.release();
    await Promise.race([victim.done, Bun.sleep(EXIT_PATIENCE_MS)]);
    struck();
    await untilUnlocked();
    await hold.release();
  },
  "short freeze": async ({ each, victim, hold }) => {
    victim.kill("SIGSTOP");
    await Bun.sleep(300 + 600 * each.chance);
    victim.kill("SIGCONT");
    await hold.release();
  },
  "long freeze": async ({ victim, hold, struck, untilUnlocked, others }) => {
    victim.kill("SIGSTOP");
    await hold.release();
    struck();
    await untilUnlocked();
    await Promise.race([Promise.all(others), Bun.sleep(OTHERS_PATIENCE_MS)]);
    victim.kill("SIGCONT");
  },
  "line silent": async ({ each, relay, hold, struck, untilUnlocked }) => {
    relay?.silence();
    await Bun.sleep(200 * each.chance);
    await hold.release();
    struck();
    await untilUnlocked();
  },
  "line reset": async ({ relay, hold, struck, untilUnlocked }) => {
    relay?.reset();
    struck();
    await untilUnlocked();
    await hold.release();
  },
  "backend terminated": async ({ each, place, watch, hold, struck, doomed, untilUnlocked }) => {
    const ended = sessionsToEnd(watch, each.chance);
    const pids = ended.map(({ pid }) => pid);
    await query(
      place.database.url,
      `select pg_terminate_backend(pid) from unnest('{${pids}}'::int[]) pid`,
    );
    struck();
    for (const spared of doomed) {
      if (!ended.some(({ session }) => session === spared)) doomed.delete(spared);
    }
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
  "pooler restarted": async ({ place, hold, struck, untilUnlocked }) => {
    await place.pooler?.restart();
    struck();
    await untilUnlocked();
    await hold.release();
  },
  "pooler KILL": async (scene) => {
    const { hold, struck, untilUnlocked } = scene;
    await command(scene, "kill");
    struck();
    await untilUnlocked();
    await resume(scene);
    await hold.release();
  },
  "pooler PAUSE": async (scene) => {
    const { each, hold } = scene;
    // PAUSE answers when every transaction has ended, which only those who are let go can do.
    const paused = command(scene, "pause").catch(() => undefined);
    await Bun.sleep(100 + 400 * each.chance);
    await hold.release();
    await Promise.race([paused, Bun.sleep(1500)]);
    await resume(scene);
    await paused;
  },
};

/** All of the victim's sessions, or only those that hold the gate, or only the others. */
function sessionsToEnd(watch: Watch, chance: number): readonly Session[] {
  const victims = watch.victims();
  const holders = victims.filter(({ holds }) => holds);
  const others = victims.filter(({ holds }) => !holds);
  const chosen = [victims, holders, others][Math.floor(chance * 3)] ?? [];
  return chosen.length > 0 ? chosen : victims;
}

/** PgBouncer 1.18 may crash or hang when a client logs in during its KILL: then it is replaced. */
async function resume(scene: Scene): Promise<void> {
  await command(scene, "resume").catch(() => scene.place.pooler?.restart());
}

/** A command of PgBouncer's own console, for this database alone. @throws when it does not answer. */
async function command({ place }: Scene, verb: "kill" | "pause" | "resume"): Promise<void> {
  const url = place.pooler?.adminUrl ?? "";
  const sql = postgres(url, { max: 1, prepare: false, fetch_types: false, connect_timeout: 10 });
  const late = Bun.sleep(ANSWER_PATIENCE_MS).then(() => Promise.reject(new Error("no answer")));
  try {
    await Promise.race([sql.unsafe(`${verb} ${place.database.name}`).simple(), late]);
  } finally {
    await sql.end({ timeout: 1 });
  }
}
