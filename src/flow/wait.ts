/** How a runner waits for another: without a transaction, with a bound, and never silently. */
import { HeadgateError } from "../core/error.ts";
import type { Fields } from "../ports.ts";
import type { World } from "./access.ts";

const FIRST_PAUSE_MS = 100;
const GROWTH = 1.4;
const LONGEST_PAUSE_MS = 1000;
/**
 * A look that took long says that the machine or the pool is busy, maybe with other waiters: then
 * sleep this many times as long, so that those who work get on.
 */
const BUSY_FACTOR = 10;
const BUSY_PAUSE_MS = 500;
const REPORT_EVERY_MS = 10_000;
/** Between two tries for a lock that the application holds: each one makes its readers wait. */
const FIRST_BACK_OFF_MS = 500;
const BACK_OFF_GROWTH = 2;
const LONGEST_BACK_OFF_MS = 10_000;

/** Who is in the way, as a sentence and as fields of an event. */
interface Named {
  readonly text: string;
  readonly fields: Fields;
  /** Of the error at the end of patience. */
  readonly cause?: unknown;
}

/** Asked only when it is reported. */
export type Describe = () => Promise<Named>;

/** What others did meanwhile: nothing, another try, or what there was to do. */
export type Meanwhile = "quiet" | "trying" | "moved";

/** Asked about once a second of a pause. */
export type Look = () => Promise<Meanwhile>;

/** One wait for others, over as many pauses as it takes. */
export interface Waiter {
  /**
   * Sleeps once, growing and jittered.
   *
   * @param leastMs About how long at least.
   * @throws {HeadgateError} `gate-timeout` after the bound.
   */
  pause(describe: Describe, leastMs?: number): Promise<void>;
  /**
   * Sleeps between two tries for a lock, twice as long each time, and says before for how long. A
   * try of somebody else counts like an own one: those who stand behind the lock feel no difference.
   *
   * @throws {HeadgateError} `gate-timeout` after the bound, which both kinds of waiting share.
   */
  backOff(blocked: Named, announce: (pauseMs: number) => void, look?: Look): Promise<void>;
  /** Somebody got further: the bound starts again. */
  progressed(): void;
  /** Milliseconds since the first pause; 0 when there was none. */
  waitedMs(): number;
}

/**
 * A waiter for one command; its bound starts with its first pause.
 *
 * @param boundMs Of waiting without progress.
 */
export function createWaiter(world: World, boundMs: number): Waiter {
  const { clock } = world;
  let firstMs: number | undefined;
  let sinceMs: number | undefined;
  let reportedMs = Number.NEGATIVE_INFINITY;
  let resumedMs = clock.nowMs();
  const nextPauseMs = growing(FIRST_PAUSE_MS, GROWTH, LONGEST_PAUSE_MS);
  const nextBackOffMs = growing(FIRST_BACK_OFF_MS, BACK_OFF_GROWTH, LONGEST_BACK_OFF_MS);
  const jittered = (durationMs: number): number => durationMs * (0.5 + world.random());
  const leftMs = (): number => {
    const nowMs = clock.nowMs();
    firstMs ??= nowMs;
    sinceMs ??= nowMs;
    return boundMs - (nowMs - sinceMs);
  };

  const report = async (describe: Describe, nowMs: number): Promise<void> => {
    const isFirst = reportedMs === Number.NEGATIVE_INFINITY;
    if (!isFirst && nowMs - reportedMs < REPORT_EVERY_MS) return;
    reportedMs = nowMs;
    const fields = isFirst ? {} : (await describe()).fields;
    world.log("gate.waiting", { waited_ms: Math.round(nowMs - (firstMs ?? nowMs)), ...fields });
  };
  return {
    pause: async (describe, leastMs = 0) => {
      const nowMs = clock.nowMs();
      const atMostMs = leftMs();
      if (atMostMs <= 0) throw timeoutError(boundMs, (await describe()).text);
      await report(describe, nowMs);
      const calmMs = Math.min(BUSY_PAUSE_MS, (nowMs - resumedMs) * BUSY_FACTOR);
      await clock.sleep(Math.min(atMostMs, jittered(Math.max(nextPauseMs(), calmMs, leastMs))));
      resumedMs = clock.nowMs();
    },
    backOff: async (blocked, announce, look = async () => "quiet") => {
      const nextMs = (): number => jittered(nextBackOffMs());
      const restMs = Math.min(leftMs(), nextMs());
      if (restMs <= 0) throw blockedError(boundMs, blocked);
      announce(Math.round(restMs));
      const isInTime = await giveWay(restMs, { clock, nextMs, leftMs, look });
      if (!isInTime) throw blockedError(boundMs, blocked);
      resumedMs = clock.nowMs();
    },
    progressed: () => {
      sinceMs = undefined;
    },
    waitedMs: () => (firstMs === undefined ? 0 : Math.round(clock.nowMs() - firstMs)),
  };
}

function growing(firstMs: number, growth: number, longestMs: number): () => number {
  let nextMs = firstMs;
  return () => {
    const durationMs = nextMs;
    nextMs = Math.min(longestMs, nextMs * growth);
    return durationMs;
  };
}

interface Rest {
  readonly clock: World["clock"];
  /** How long to rest after another try, and after a longer time the next one. */
  readonly nextMs: () => number;
  readonly leftMs: () => number;
  readonly look: Look;
}

/**
 * Rests in slices, from the beginning each time somebody else tries. False: the bound has passed,
 * and not because of another's long try, which is a wait of the usual kind.
 */
async function giveWay(firstMs: number, { clock, nextMs, leftMs, look }: Rest): Promise<boolean> {
  let restMs = firstMs;
  let seen: Meanwhile = "quiet";
  while (restMs > 0 && seen !== "moved") {
    const sliceMs = Math.min(restMs, leftMs(), LONGEST_PAUSE_MS);
    if (sliceMs <= 0) return seen === "trying";
    await clock.sleep(sliceMs);
    const before: Meanwhile = seen;
    seen = await look();
    if (seen !== "trying") restMs -= sliceMs;
    else if (before !== "trying") restMs = nextMs();
  }
  return true;
}

function timeoutError(boundMs: number, holder: string): HeadgateError {
  return new HeadgateError(`Cannot pass the gate within ${boundMs} ms: ${holder}`, {
    code: "gate-timeout",
    hint: "Nothing is left half-done. If that holder is healthy, raise --lock-wait; if it is not, end it: select pg_terminate_backend(pid)",
  });
}

function blockedError(boundMs: number, { text, cause }: Named): HeadgateError {
  return new HeadgateError(`Cannot get a lock within ${boundMs} ms of trying: ${text}`, {
    code: "gate-timeout",
    cause,
    hint: "Let that transaction end, or end it: select pg_terminate_backend(pid), or rollback prepared; then run again. --lock-wait bounds the tries, --lock-timeout each one",
  });
}
