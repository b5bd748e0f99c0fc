/** Exit statuses: part of the interface. Append, never renumber. */
import type { ErrorCode, HeadgateError } from "../core/error.ts";
import type { HeadState } from "../core/head.ts";

/** Every code has a status; several codes may share one. */
export const EXIT_STATUS: Readonly<Record<ErrorCode, number>> = {
  unexpected: 1,
  usage: 2,
  "config-invalid": 2,
  "bundle-invalid": 2,
  behind: 3,
  "migration-failed": 4,
  interrupted: 4,
  refused: 4,
  drifted: 5,
  "gate-timeout": 6,
  "deadline-passed": 6,
  unreachable: 7,
  "privilege-missing": 7,
  ahead: 8,
  "seed-failed": 9,
  sigint: 130,
  sigterm: 143,
};

/** For a command that failed; `probe` answers 1 instead. */
export function exitStatusOf(error: HeadgateError): number {
  return EXIT_STATUS[error.code];
}

/** What `status --exit-code` answers; `unreadable` is an error and has its code's status. */
export function exitStatusOfStatus({ state, isReady, staleSeeds }: StatusAnswer): number {
  return staleSeeds === undefined ? exitStatusOfState(state, isReady) : EXIT_STATUS["seed-failed"];
}

interface StatusAnswer {
  readonly state: HeadState;
  readonly isReady: boolean;
  readonly staleSeeds: string | undefined;
}

/** Of the migrations alone. */
export function exitStatusOfState(state: HeadState, isReady: boolean): number {
  switch (state.kind) {
    case "at-head":
      return 0;
    case "ahead":
      return isReady ? 0 : EXIT_STATUS.ahead;
    case "fresh":
    case "behind":
    case "running":
      return EXIT_STATUS.behind;
    case "interrupted":
      return EXIT_STATUS.interrupted;
    case "drifted":
      return EXIT_STATUS.drifted;
  }
}
