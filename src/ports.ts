/** What flows need from the world, as types. `main.ts` builds the real ones, tests their own. */

/** Time that tests can turn. */
export interface Clock {
  /** Milliseconds of a monotonic clock. */
  nowMs(): number;
  /** Resolves after that long, or rejects at once when the process was asked to stop. */
  sleep(durationMs: number): Promise<void>;
  /** Calls again and again until the returned function is called. */
  every(intervalMs: number, call: () => void): () => void;
}

/** An event's data; what is undefined or null is left out. */
export type Fields = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** One event on stderr. Names, levels and messages: `core/events.ts`. */
export type Log<Event extends string = string> = (event: Event, fields?: Fields) => void;

/** Uniform in [0, 1). */
export type Random = () => number;
