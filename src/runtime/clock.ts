/** Time as it passes, until the process must stop. */
import { setTimeout as delay } from "node:timers/promises";
import type { Clock } from "../ports.ts";

/** Its sleep rejects with the signal's reason as soon as that aborts. */
export function clockUntil(stop: AbortSignal): Clock {
  return {
    nowMs: () => performance.now(),
    sleep: (durationMs) =>
      delay(durationMs, undefined, { signal: stop }).catch(() => {
        throw stop.reason;
      }),
    every: (intervalMs, call) => {
      const timer = setInterval(call, intervalMs);
      return () => clearInterval(timer);
    },
  };
}
