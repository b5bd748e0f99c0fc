/**
 * A waiting runner's eye on a session-level, idle holder of a lock that it needs: it is reported at
 * once, and handed to `reclaim.ts` when `--reclaim-orphans` allows that.
 */
import { HeadgateError } from "../core/error.ts";
import { type Sighting, sightHolder } from "../core/idle-holder.ts";
import { classifyLocks, describeLock, type Lock } from "../core/locks.ts";
import { readDatabaseName, readLocks } from "../db/locks.ts";
import type { Fields } from "../ports.ts";
import type { Access, World } from "./access.ts";
import type { Obstacle } from "./in-the-way.ts";
import { mayNotEnd } from "./may-not-end.ts";
import type { Session } from "./session.ts";

/** Asked before each pause. */
export interface HolderWatch {
  /** @returns for how long to leave the holder's session in peace, in milliseconds */
  look(session: Session, obstacle: Obstacle): Promise<number>;
}

/** Which lock it is about, in whose name, and when its holder may be ended. */
export interface WatchWish {
  readonly foreignKey: bigint | undefined;
  /** How long it must have been idle; undefined: it is never ended. */
  readonly reclaimAfterMs?: number | undefined;
  readonly runId: string;
}

const LOOK_EVERY_MS = 2000;
/** After a holder was left alone: to look at it closely takes a place in the pool. */
const SPARED_MS = 30_000;
/** While another runner watches: our own questions may run on the very session that it looks at. */
const QUIET_MS = 5000;

interface Watch {
  readonly world: World;
  readonly access: Access;
  readonly wish: WatchWish;
  /** What was said already, and of which session. */
  readonly said: Set<string>;
  sighting: Sighting | undefined;
  dueMs: number;
}

/** Only for runners that join another tool's lock, or may end a holder: a look costs a question. */
export function watchHolders(world: World, access: Access, wish: WatchWish): HolderWatch {
  const isNeeded = wish.foreignKey !== undefined || wish.reclaimAfterMs !== undefined;
  const dueMs = Number.NEGATIVE_INFINITY;
  const watch: Watch = { world, access, wish, said: new Set(), sighting: undefined, dueMs };
  return {
    look: async (session, { kind }) => {
      const nowMs = world.clock.nowMs();
      if (!isNeeded || kind === "wait" || nowMs < watch.dueMs) return 0;
      watch.dueMs = nowMs + LOOK_EVERY_MS;
      return look(watch, session);
    },
  };
}

async function look(watch: Watch, { connection, gate }: Session): Promise<number> {
  const { world, wish } = watch;
  const { place } = await gate();
  const rows = await readLocks(connection, place);
  if (rows.length === 0) return 0;
  const database = await readDatabaseName(connection);
  const locks = classifyLocks(rows, { place, database, lockId: wish.foreignKey });
  const nowMs = world.clock.nowMs();
  watch.sighting = sightHolder(watch.sighting, locks, nowMs);
  if (watch.sighting === undefined) return 0;
  const { holder, idleSinceMs } = watch.sighting;
  suspect(watch, holder);
  if (wish.reclaimAfterMs === undefined) return 0;
  if (holder.state === null) return spare(watch, holder, mayNotEnd(holder));
  if (nowMs - idleSinceMs < wish.reclaimAfterMs) return 0;
  if (locks.some(({ kind, isGranted }) => kind === "reclaim" && isGranted)) return QUIET_MS;
  return reclaim(watch, watch.sighting);
}

function suspect(watch: Watch, holder: Lock): void {
  const { reclaimAfterMs } = watch.wish;
  sayOnce(watch, holder, "orphan.suspected", {
    holder_age_ms: holder.isOurs ? undefined : holder.stateAgeMs,
    hint:
      reclaimAfterMs === undefined
        ? `Look at it with "headgate locks"; "headgate locks release ${holder.pid}" ends it, or --reclaim-orphans=<age>`
        : `Once it has been idle for ${reclaimAfterMs} ms it is ended, although it may be a living migrator`,
  });
}

async function reclaim(watch: Watch, sighting: Sighting): Promise<number> {
  const { world, access, wish } = watch;
  const { reclaimHolder } = await import("./reclaim.ts");
  try {
    const end = await reclaimHolder(world, access, { ...wish, sighting });
    if (end === "watched") return QUIET_MS;
    watch.sighting = undefined;
    world.log("orphan.reclaimed", fieldsOf(sighting.holder));
  } catch (error) {
    if (world.stop.aborted) throw world.stop.reason;
    if (!(error instanceof HeadgateError)) throw error;
    spare(watch, sighting.holder, error);
  }
  return 0;
}

/** What is known of it counts no more. */
function spare(watch: Watch, holder: Lock, { message: reason, hint }: HeadgateError): 0 {
  watch.sighting = undefined;
  watch.dueMs = watch.world.clock.nowMs() + SPARED_MS;
  sayOnce(watch, holder, "orphan.spared", { reason, hint });
  return 0;
}

function sayOnce(
  { world, said }: Watch,
  holder: Lock,
  event: "orphan.suspected" | "orphan.spared",
  fields: Fields,
): void {
  const what = [event, holder.pid, holder.backendStart, fields["reason"]].join(" ");
  if (said.has(what)) return;
  said.add(what);
  world.log(event, { ...fieldsOf(holder), ...fields });
}

function fieldsOf(holder: Lock): Fields {
  return {
    lock: describeLock(holder),
    holder_pid: holder.pid,
    holder_role: holder.user,
    holder_address: holder.address,
    holder_application: holder.isOurs ? undefined : holder.application,
  };
}
