/** How long answers may take that come one after the other: one timer, however many are under way. */

/** No deadline: a migration's body runs as long as it needs. */
export const UNBOUNDED = 0;

/** The questions of one connection, in the order in which they are answered. */
export interface Deadlines {
  /** Its time begins when the one before it is answered: that one may be a long migration. */
  asked(deadlineMs: number): void;
  /** The oldest one. */
  answered(): void;
}

/**
 * For one connection.
 *
 * @param onPassed Called with the deadline of the oldest question, when it was not answered in time.
 */
export function createDeadlines(onPassed: (deadlineMs: number) => void): Deadlines {
  const open: number[] = [];
  let sinceMs = 0;
  let dueMs = Number.POSITIVE_INFINITY;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const disarm = (): void => {
    clearTimeout(timer);
    dueMs = Number.POSITIVE_INFINITY;
  };
  const look = (): void => {
    const [deadlineMs = UNBOUNDED] = open;
    const nowMs = performance.now();
    const oldestDueMs = deadlineMs === UNBOUNDED ? Number.POSITIVE_INFINITY : sinceMs + deadlineMs;
    if (oldestDueMs <= nowMs) onPassed(deadlineMs);
    // One that is due too early looks again then.
    else if (oldestDueMs < dueMs) {
      disarm();
      dueMs = oldestDueMs;
      timer = setTimeout(() => {
        disarm();
        look();
      }, oldestDueMs - nowMs);
    }
  };
  const begin = (): void => {
    sinceMs = performance.now();
    look();
  };
  return {
    asked: (deadlineMs) => {
      if (open.push(deadlineMs) === 1) begin();
    },
    answered: () => {
      open.shift();
      if (open.length === 0) disarm();
      else begin();
    },
  };
}
