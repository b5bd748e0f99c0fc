/** The wish to stop, by a signal or because time is up, and how long what is open may take to close. */
import { type ErrorCode, HeadgateError } from "../core/error.ts";

/** For the statement to be cancelled and rolled back; a bit more than one session takes for it. */
const GRACE_MS = 1500;
/** A probe has no time left, and nothing to roll back; a drill has a schema to drop. */
const OTHER_GRACE_MS: Readonly<Record<string, number>> = { probe: 0, drill: 10_000 };
const HINT = "Run it again: what is committed stays, the rest is rolled back";

/** One process's; the first reason stays. */
export interface Stop {
  readonly signal: AbortSignal;
  /** A second signal changes nothing: the way out is short, and leaves the server clean. */
  by(name: "SIGINT" | "SIGTERM"): void;
  /** @param timeMs From now; it may be over already. */
  after(timeMs: number, flag: string): void;
  /** Rejects with the reason once the grace is over, in case something hangs that cannot be ended. */
  readonly over: Promise<never>;
}

/**
 * Nothing stops before one of its calls.
 *
 * @param command What runs; asked when it must stop.
 */
export function createStop(command: () => string | undefined): Stop {
  const graceMs = (): number => OTHER_GRACE_MS[command() ?? ""] ?? GRACE_MS;
  const controller = new AbortController();
  const { signal } = controller;
  const options = (code: ErrorCode) =>
    (command() ?? "") in OTHER_GRACE_MS ? { code } : { code, hint: HINT };
  return {
    signal,
    by: (name) => {
      const code = name === "SIGINT" ? "sigint" : "sigterm";
      controller.abort(new HeadgateError(`Cannot go on: stopped by ${name}`, options(code)));
    },
    after: (timeMs, flag) => {
      const code = "deadline-passed";
      const halt = (): void =>
        controller.abort(
          new HeadgateError(`Cannot finish in time: ${flag} has passed`, options(code)),
        );
      setTimeout(halt, Math.max(timeMs, 0)).unref();
    },
    over: new Promise((_resolve, reject) => {
      const give = (): void => reject(signal.reason);
      signal.addEventListener("abort", () => setTimeout(give, graceMs()));
    }),
  };
}
