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

/** Asks the person at the terminal; undefined: there is none. Anything but "yes" is no. */
export type Confirm = (question: string) => Promise<boolean | undefined>;

/** Makes the first password and keeps it until somebody has read it. What fails is `seed-failed`. */
export interface Vault {
  /** Argon2id v19 as a PHC string. It takes a while, and runs beside the event loop. */
  hash(password: string): Promise<string>;
  /** A new random password with upper and lower case, a digit and a special character; 39 characters. */
  generate(): string;
  /**
   * Puts the password into a file of mode 0600: all of it or nothing. What is there already and is not
   * empty or an earlier generated password stays, and is an error.
   */
  write(path: string, password: string): void;
  /** Removes the file if it still holds this password. Never throws. */
  withdraw(path: string, password: string): void;
}

/** How a process ended; status undefined: by a signal, or it could not be started. */
export interface ChildEnd {
  readonly status: number | undefined;
  /** Why it could not be started. */
  readonly problem: string | undefined;
}

/** Another process of this program. */
export interface Child {
  readonly pid: number | undefined;
  /** SIGKILL. */
  kill(): void;
  /** When it is gone and its last line was given out. */
  readonly ended: Promise<ChildEnd>;
}

/** Starts this program again with these arguments; gives each line that it writes to stderr. */
export type Spawn = (args: readonly string[], onLine: (line: string) => void) => Child;
