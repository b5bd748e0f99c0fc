/**
 * `wait`: asks what `probe` asks, again and again, until the answer is yes. Every look is a connection
 * of its own, so that nothing is held between two looks and whatever comes up late is found: the name
 * in DNS, a mesh proxy, the server, a free place in its pool, a password that was rotated.
 */
import { renderDuration } from "../core/duration.ts";
import { HeadgateError } from "../core/error.ts";
import type { Head } from "../core/head.ts";
import type { Access, World } from "./access.ts";
import { type ProbeReport, type ProbeWish, probe } from "./probe.ts";

const FIRST_PAUSE_MS = 200;
const GROWTH = 1.4;
const LONGEST_PAUSE_MS = 2000;
/** One timer reaches no further than 24 days. */
const NAP_MS = 86_400_000;

/** What is waited for, and how long. */
export interface WaitWish extends ProbeWish {
  /** Of the whole wait; 0: none. */
  readonly deadlineMs: number;
}

/** The yes, and what it took. */
export interface WaitReport extends ProbeReport {
  readonly waitedMs: number;
}

/**
 * Says why it waits whenever that changes.
 *
 * @throws {HeadgateError} `interrupted` and `drifted` at once, `deadline-passed` with the last reason
 */
export async function waitForHead(
  world: World,
  access: Access,
  head: Head,
  wish: WaitWish,
): Promise<WaitReport> {
  const { clock } = world;
  const startMs = clock.nowMs();
  const waitedMs = (): number => Math.round(clock.nowMs() - startMs);
  const bound = wish.deadlineMs > 0 ? AbortSignal.timeout(wish.deadlineMs) : undefined;
  const looking = { ...world, stop: bound ? AbortSignal.any([world.stop, bound]) : world.stop };
  const over = rejection(looking.stop);
  let reason: string | undefined;
  const endInTime = (): void => {
    if (bound?.aborted && !world.stop.aborted) throw deadlineError(wish.deadlineMs, reason);
  };
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * GROWTH)) {
    const look = probe(looking, access, head, wish);
    const report = await Promise.race([look, over]).catch((error: unknown) => {
      endInTime();
      throw error;
    });
    if (report.isReady) return { ...report, waitedMs: waitedMs() };
    refuseHopeless(report);
    if (report.reason !== reason) say(world, report, waitedMs());
    reason = report.reason;
    const leftMs = bound ? Math.max(wish.deadlineMs - waitedMs(), 0) : LONGEST_PAUSE_MS;
    await clock.sleep(Math.min(leftMs, pauseMs * (0.5 + world.random())));
    endInTime();
  }
}

/** A look that is still connecting does not end by itself. */
function rejection(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

function say(world: World, { state, reason }: ProbeReport, waitedMs: number): void {
  world.log("schema.awaited", { state, reason, waited_ms: waitedMs });
}

/** Sleeps until the process is asked to stop, which is its proper end. */
export async function stay(world: World): Promise<void> {
  while (!world.stop.aborted) {
    await world.clock.sleep(NAP_MS).catch((error: unknown) => {
      if (!world.stop.aborted) throw error;
    });
  }
}

/** What no other runner ends: a person must. */
function refuseHopeless({ state, reason }: ProbeReport): void {
  if (state !== "interrupted" && state !== "drifted") return;
  throw new HeadgateError(`Cannot wait for the schema: ${reason}`, {
    code: state,
    hint: 'Waiting does not end this: look at "headgate status" and "headgate doctor"',
  });
}

function deadlineError(deadlineMs: number, reason: string | undefined): HeadgateError {
  const found = reason ?? "the first look had no answer yet";
  return new HeadgateError(
    `Cannot call the schema ready within ${renderDuration(deadlineMs)}: ${found}`,
    {
      code: "deadline-passed",
      hint: "Look at the log of whoever migrates, or raise --deadline",
    },
  );
}
