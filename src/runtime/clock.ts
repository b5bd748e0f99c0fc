/** Time as it passes, until the process must stop. */
import type { Clock } from "../ports.ts";

/** Its sleep rejects with the signal's reason as soon as that aborts. */
export function clockUntil(stop: AbortSignal): Clock {
  return {
    nowMs: () => performance.now(),
    sleep: (durationMs) =>
      new Promise((resolve, reject) => {
        const stopNow = (): void => {
          clearTimeout(timer);
          reject(stop.reason);
        };
        const timer = setTimeout(() => {
          stop.removeEventListener("abort", stopNow);
          resolve();
        }, durationMs);
        if (stop.aborted) stopNow();
        else stop.addEventListener("abort", stopNow, { once: true });
      }),
    every: (intervalMs, call) => {
      const timer = setInterval(call, intervalMs);
      return () => clearInterval(timer);
    },
  };
}
