/** Many runners at once, some of them killed: what each one said, and when. */
import {
  type DrillSize,
  killWindowMs,
  LAST_STEP,
  parseRunnerLine,
  type RunnerLine,
} from "../core/drill.ts";
import { headAfterMs, type Kill, recoveryMs } from "../core/drill-times.ts";
import type { RunnerEnd } from "../core/drill-verdict.ts";
import type { Child } from "../ports.ts";
import type { World } from "./access.ts";

/** What the race was, by this process's clock. */
export interface Race {
  readonly ends: readonly RunnerEnd[];
  readonly kills: readonly Kill[];
  /** The longest time from a kill inside the gate to the next runner that begins a migration. */
  readonly recoveryMs: number | undefined;
  /** From the last kill to the first runner that found head. */
  readonly headAfterMs: number | undefined;
  readonly durationMs: number;
}

interface Runner {
  readonly number: number;
  readonly child: Child;
  /** The migration that it applies just now. */
  version: number | undefined;
  lastWord: string | undefined;
  end: RunnerEnd | undefined;
  endedMs: number;
}

interface Field {
  readonly world: World;
  readonly size: DrillSize;
  readonly runners: Runner[];
  readonly kills: Kill[];
  /** When migrations began. */
  readonly starts: number[];
  highest: number;
  newsMs: number;
  /** When the next kill is due. */
  planMs: number | undefined;
  /** How many starts there were at the last kill: one start, one kill at most. */
  startsUsed: number;
}

const TICK_MS = 20;
/** No runner wrote a line, came or went for so long; a waiting one writes one every 10 s. */
const SILENCE_MAX_MS = 60_000;
const BY_SIGNAL = "ended by a signal that was not the drill's, such as for want of memory";
/** The other kills hit whoever waits, or nobody is inside for. */
const INSIDE_SHARE = 0.75;

/**
 * Starts all runners at once and waits until each one has ended. Whatever happens, none is left
 * running when this returns.
 */
export async function raceRunners(
  world: World,
  size: DrillSize,
  launch: (onLine: (line: string) => void) => Child,
): Promise<Race> {
  const startMs = world.clock.nowMs();
  const field: Field = {
    world,
    size,
    runners: [],
    kills: [],
    starts: [],
    highest: 0,
    newsMs: startMs,
    planMs: undefined,
    startsUsed: 0,
  };
  try {
    for (let number = 1; number <= size.replicas; number += 1) enter(field, number, launch);
    while (living(field).length > 0) {
      await world.clock.sleep(TICK_MS);
      killOne(field);
      if (world.clock.nowMs() - field.newsMs > SILENCE_MAX_MS) endHung(field);
    }
  } finally {
    for (const { child } of living(field)) child.kill();
    await Promise.all(field.runners.map(({ child }) => child.ended));
  }
  return toRace(field, world.clock.nowMs() - startMs);
}

function living({ runners }: Field): readonly Runner[] {
  return runners.filter(({ end }) => end === undefined);
}

function enter(
  field: Field,
  number: number,
  launch: (onLine: (line: string) => void) => Child,
): void {
  const { clock } = field.world;
  const child = launch((line) => {
    field.newsMs = clock.nowMs();
    const said = parseRunnerLine(line);
    if (said) listen(field, runner, said);
  });
  const runner: Runner = {
    number,
    child,
    version: undefined,
    lastWord: undefined,
    end: undefined,
    endedMs: 0,
  };
  field.runners.push(runner);
  void child.ended.then(({ status, problem }) => {
    field.newsMs = clock.nowMs();
    runner.endedMs = clock.nowMs();
    const reason = problem ?? runner.lastWord ?? (status === undefined ? BY_SIGNAL : undefined);
    runner.end ??= { kind: "ended", status: status ?? -1, reason };
  });
}

function listen(field: Field, runner: Runner, { event, version, reason }: RunnerLine): void {
  if (event === "command.failed") runner.lastWord = reason;
  if (event === "migration.applied") runner.version = undefined;
  if (event !== "migration.started" || version === undefined || runner.end) return;
  runner.version = version;
  field.starts.push(field.world.clock.nowMs());
  field.highest = Math.max(field.highest, version);
}

/** A start of a migration is what a kill waits for: so it comes while there is work to be broken. */
function killOne(field: Field): void {
  const { world, kills, size, starts } = field;
  if (kills.length >= size.kill || isKept(field)) return;
  const nowMs = world.clock.nowMs();
  if (field.planMs === undefined) {
    if (starts.length > field.startsUsed) {
      field.planMs = nowMs + world.random() * killWindowMs(field.highest);
    }
    return;
  }
  if (nowMs < field.planMs) return;
  field.planMs = undefined;
  field.startsUsed = starts.length;
  const victim = chooseVictim(field);
  if (victim) kill(field, victim);
}

/** The last kill is for the slow migration, so that at least one hits a statement that runs. */
function isKept({ kills, size, highest }: Field): boolean {
  return kills.length === size.kill - 1 && highest < LAST_STEP;
}

/** Behind the last start only a death inside the gate makes another one, and so another kill. */
function chooseVictim(field: Field): Runner | undefined {
  const runners = living(field);
  const inside = runners.find(({ version }) => version !== undefined);
  const mayBeAny = field.highest < LAST_STEP;
  if (inside && (!mayBeAny || field.world.random() < INSIDE_SHARE)) return inside;
  return mayBeAny ? runners[Math.floor(field.world.random() * runners.length)] : undefined;
}

function kill(field: Field, victim: Runner): void {
  const isInside = victim.version !== undefined;
  victim.end = { kind: "killed" };
  victim.child.kill();
  field.kills.push({ atMs: field.world.clock.nowMs(), isInside });
  field.world.log("drill.killed", {
    runner: victim.number,
    runner_pid: victim.child.pid,
    version: victim.version,
    inside: isInside,
  });
}

function endHung(field: Field): void {
  for (const runner of living(field)) {
    runner.end = { kind: "hung" };
    runner.child.kill();
  }
}

function toRace({ runners, kills, starts }: Field, durationMs: number): Race {
  const ends = runners.map(({ end }) => end ?? { kind: "hung" as const });
  const heads = runners
    .filter(({ end }) => end?.kind === "ended" && end.status === 0)
    .map(({ endedMs }) => endedMs);
  const times = { recoveryMs: recoveryMs(kills, starts), headAfterMs: headAfterMs(kills, heads) };
  return { ends, kills, ...times, durationMs };
}
