/** Brings a victim to a moment and keeps it there until the harm is done. */
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { holdSnapshot, untilBuilding } from "../support/build.ts";
import type { FaultRelay } from "../support/fault-relay.ts";
import { holdOpen } from "../support/lock-holder.ts";
import { query, until } from "../support/query.ts";
import { createScratchFolder } from "../support/scratch.ts";
import { type Case, MOMENTS } from "./cases.ts";
import { brake, NO_BRAKE } from "./witness.ts";

const PATIENCE_MS = 60_000;

export interface Hold {
  /** For the victim alone. */
  readonly env: Readonly<Record<string, string>>;
  /** Resolves when the victim is at the moment. */
  reached(): Promise<void>;
  /** Lets go of it; a second call does nothing. */
  release(): Promise<void>;
}

/** What a moment is recognised by. */
export interface HoldWish {
  readonly each: Case;
  /** Past any pooler. */
  readonly url: string;
  readonly relay: FaultRelay | undefined;
}

/** To be called before the victim starts. */
export async function openHold(wish: HoldWish): Promise<Hold> {
  const hold = await holdOf(wish);
  let released: Promise<void> | undefined;
  return {
    ...hold,
    release: () => {
      released ??= hold.release().catch(() => undefined); // with its server gone, it is released
      return released;
    },
  };
}

async function holdOf({ each, url, relay }: HoldWish): Promise<Hold> {
  const { at, family } = MOMENTS[each.moment];
  switch (at) {
    case "body":
      return holdBody(url, family === "outside" ? 2 : each.passage);
    case "lock-wait":
      return holdLock(url);
    case "build":
      return holdBuild(url);
    case "answer":
      return holdAnswer(relay);
    default:
      return holdPoint(at, each.passage);
  }
}

async function holdBody(url: string, version: number): Promise<Hold> {
  await query(url, brake(version));
  const isAsleep =
    "select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'";
  return {
    env: {},
    reached: () => until(url, isAsleep, PATIENCE_MS),
    release: async () => void (await query(url, NO_BRAKE)),
  };
}

async function holdLock(url: string): Promise<Hold> {
  const { release } = await holdOpen(url, "lock table witness.hot in access share mode");
  const isWaiting = "select from pg_locks where relation = 'witness.hot'::regclass and not granted";
  return { env: {}, reached: () => until(url, isWaiting, PATIENCE_MS), release };
}

async function holdBuild(url: string): Promise<Hold> {
  const { release } = await holdSnapshot(url);
  return { env: {}, reached: () => untilBuilding(url), release };
}

function holdAnswer(relay: FaultRelay | undefined): Hold {
  if (!relay) throw new TypeError("an answer is kept back by a relay");
  return {
    env: {},
    reached: () => poll(relay.hasHeld),
    release: async () => relay.letGo(),
  };
}

function holdPoint(point: string, passage: number): Hold {
  const marker = join(createScratchFolder("fault"), "reached");
  return {
    env: { HEADGATE_FAULT: `${point}:${passage}`, HEADGATE_FAULT_FILE: marker },
    reached: () => poll(() => existsSync(marker)),
    release: async () => rmSync(marker, { force: true }),
  };
}

async function poll(isThere: () => boolean): Promise<void> {
  const endMs = performance.now() + PATIENCE_MS;
  while (!isThere()) {
    if (performance.now() > endMs) throw new Error("the moment did not come");
    await Bun.sleep(10);
  }
}
