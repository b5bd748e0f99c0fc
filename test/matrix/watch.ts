/** Looks at a case's database all the time, past any pooler, and remembers what must not be. */
import postgres from "postgres";
import type { Family } from "./cases.ts";
import { SESSIONS, type Session, type Snapshot } from "./witness.ts";

/** Often enough to see what lasts, rarely enough not to be what makes the machine slow. */
const INTERVAL_MS = 120;
/** What the name of the victim's sessions is; others have their own. */
export const VICTIM = "victim";
export const PROBE = "probe";

/** One look. */
export interface Look {
  /** By the server's clock, in milliseconds since 1970. */
  readonly at: number;
  readonly snapshot: Snapshot;
  readonly overlap: boolean;
  readonly sessions: readonly Session[];
}

/** What the looks add up to. */
export interface Seen {
  /** Snapshots in which effect and row were not one. */
  readonly torn: readonly string[];
  /** Looks at which two runs were inside a migration's statements. */
  readonly overlaps: readonly string[];
  /** Looks at which a probe waited for a lock or had one that a reader has not. */
  readonly disturbed: readonly string[];
  /** The longest time between two looks, above the usual: how late the watch itself was. */
  readonly lateMs: number;
}

export interface Watch {
  /** A look of now; undefined while the server does not answer. */
  look(): Promise<Look | undefined>;
  /** Looks again and again, until it is so or the time is over. */
  until(isSo: (look: Look | undefined) => boolean, patienceMs: number): Promise<void>;
  /** Sessions of the victim that hold a lock of the gate, by the last look. */
  holders(): readonly Session[];
  /** The victim's sessions by the last look. */
  victims(): readonly Session[];
  /** When each of these sessions was last seen with a lock of the gate. */
  lastHeld(session: string): number | undefined;
  stop(): Promise<Seen>;
}

/** Starts to look. */
export function openWatch(url: string, family: Family): Watch {
  const sql = postgres(url, {
    max: 1,
    prepare: false,
    fetch_types: false,
    onnotice() {},
    connect_timeout: 3,
  });
  const held = new Map<string, number>();
  const [torn, overlaps, disturbed]: [Set<string>, Set<string>, Set<string>] = [
    new Set(),
    new Set(),
    new Set(),
  ];
  let last: Look | undefined;
  let lateMs = 0;
  let isOver = false;

  const take = (look: Look): void => {
    if (last) lateMs = Math.max(lateMs, look.at - last.at - INTERVAL_MS);
    last = look;
    for (const { session } of look.sessions.filter(({ holds }) => holds))
      held.set(session, look.at);
    for (const text of tornIn(look.snapshot, family)) torn.add(text);
    for (const text of overlapIn(look)) overlaps.add(text);
    const probes = look.sessions.filter(({ name, disturbs }) => name === PROBE && disturbs);
    for (const each of probes) disturbed.add(JSON.stringify(each));
  };
  const look = async (): Promise<Look | undefined> => {
    try {
      const [row] = await sql.unsafe(SESSIONS).simple();
      const now = { ...row, at: Number(row?.["at"]) } as unknown as Look;
      take(now);
      return now;
    } catch {
      last = undefined; // a server that is away is not late
      return undefined;
    }
  };
  const looking = (async (): Promise<void> => {
    while (!isOver) {
      await look();
      await Bun.sleep(INTERVAL_MS);
    }
  })();
  const victims = (): readonly Session[] =>
    (last?.sessions ?? []).filter(({ name }) => name === VICTIM);
  return {
    look,
    victims,
    until: async (isSo, patienceMs) => {
      const endMs = Date.now() + patienceMs;
      while (!isSo(await look()) && Date.now() < endMs) await Bun.sleep(INTERVAL_MS / 2);
    },
    holders: () => victims().filter(({ holds }) => holds),
    lastHeld: (session) => held.get(session),
    stop: async () => {
      if (!isOver) {
        isOver = true;
        await looking;
        await look();
        await sql.end({ timeout: 1 });
      }
      return { torn: [...torn], overlaps: [...overlaps], disturbed: [...disturbed], lateMs };
    },
  };
}

/** Versions of which not all three are there: table, log and ledger row; or seeds without their record. */
export function tornIn(snapshot: Snapshot, family: Family): readonly string[] {
  if (family === "seed") {
    const { roles, seeds } = snapshot;
    return roles > 0 === seeds > 0 ? [] : [`${roles} roles and ${seeds} records of seeding`];
  }
  const versions = family === "inside" ? [1, 2] : [1];
  return versions.flatMap((version) => {
    const there = [snapshot.effects, snapshot.logged, snapshot.applied].map(
      (list) => list.filter((each) => each === version).length,
    );
    const isWhole = there.every((count) => count === 0) || there.every((count) => count === 1);
    return isWhole ? [] : [`version ${version}: table, log, ledger row = ${there.join(", ")}`];
  });
}

function overlapIn({ sessions, overlap }: Look): readonly string[] {
  const runs = new Set(sessions.filter(({ works }) => works).map(({ run }) => run));
  return [
    ...(overlap ? ["two bodies were open at once"] : []),
    ...(runs.size > 1 ? [`statements of ${runs.size} runs at once: ${[...runs].join(", ")}`] : []),
  ];
}
