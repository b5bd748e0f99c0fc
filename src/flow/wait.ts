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

/** Names who is in the way; asked only when it is reported. */
export type Describe = () => Promise<{ readonly text: string; readonly fields: Fields }>;

/** One wait for others, over as many pauses as it takes. */
export interface Waiter {
  /**
   * Sleeps once, growing and jittered.
   *
   * @param leastMs About how long at least.
   * @throws {HeadgateError} `gate-timeout` after the bound.
   */
  pause(describe: Describe, leastMs?: number): Promise<void>;
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
  let pauseMs = FIRST_PAUSE_MS;
  let resumedMs = clock.nowMs();

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
      firstMs ??= nowMs;
      sinceMs ??= nowMs;
      const leftMs = boundMs - (nowMs - sinceMs);
      if (leftMs <= 0) throw timeoutError(boundMs, (await describe()).text);
      await report(describe, nowMs);
      const calmMs = Math.min(BUSY_PAUSE_MS, (nowMs - resumedMs) * BUSY_FACTOR);
      await clock.sleep(
        Math.min(leftMs, Math.max(pauseMs, calmMs, leastMs) * (0.5 + world.random())),
      );
      pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * GROWTH);
      resumedMs = clock.nowMs();
    },
    progressed: () => {
      sinceMs = undefined;
    },
    waitedMs: () => (firstMs === undefined ? 0 : Math.round(clock.nowMs() - firstMs)),
  };
}

function timeoutError(boundMs: number, holder: string): HeadgateError {
  return new HeadgateError(`Cannot pass the gate within ${boundMs} ms: ${holder}`, {
    code: "gate-timeout",
    hint: "Nothing is left half-done. If that holder is healthy, raise --lock-wait; if it is not, end it: select pg_terminate_backend(pid)",
  });
}
