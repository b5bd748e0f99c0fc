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

/** Column names to values, as the driver reads them. */
export type Row = Readonly<Record<string, unknown>>;
/** What a bind parameter may be. */
export type Value = string | number | boolean | null;

/** The rows of the last row-returning statement and the tag of the last statement. */
export interface Result {
  readonly rows: readonly Row[];
  /** The command tag's word: `COMMIT`, `ROLLBACK`, `SELECT`. */
  readonly tag: string;
  /** The process that the login named; behind a pooler not the one that answers. */
  readonly loginPid: number | undefined;
}

/** One session. After its first failure every call fails. */
export interface Connection {
  /** Simple protocol: one or more statements, no values. */
  run(text: string, deadlineMs?: number): Promise<Result>;
  /** Extended protocol: one statement, values as bind parameters. */
  bind(text: string, values: readonly Value[], deadlineMs?: number): Promise<Result>;
  /** Says goodbye to the server; resolves when the socket is closed, within a second or two. */
  close(): Promise<void>;
  /** Drops the socket. What runs on the server ends at its next client check. */
  destroy(error: Error): void;
  /**
   * Refuses every further call, cancels the statement that runs, rolls back and says goodbye; `close`
   * waits for it. A statement that was done before still answers, any other rejects with `error`.
   */
  stop(error: Error): void;
}

/** Where a stream leads: a host and its port, or the path of a Unix socket. */
export type Endpoint = { readonly host: string; readonly port: number } | { readonly path: string };

/** How a stream is encrypted, and who the peer must be. */
export interface TlsWish {
  /** `chain`: a certificate of the authority's; `identity`: and made out to `serverName`. */
  readonly proof: "none" | "chain" | "identity";
  /** Undefined: no name is sent. */
  readonly serverName: string | undefined;
  /** PEM text; undefined: the runtime's own store, where proof is asked for. */
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

/** A socket's bytes. */
export interface Stream {
  write(bytes: Uint8Array): void;
  /** Closes it when what was written is out. */
  end(): void;
  destroy(): void;
  /** Encrypts from here on. Gives the peer's certificate (DER). */
  startTls(wish: TlsWish): Promise<Uint8Array | undefined>;
}

/** Who listens to a stream. */
export interface Listener {
  data(bytes: Uint8Array): void;
  /** Once, and nothing after it. */
  closed(error: Error | undefined): void;
}

/** What the small client needs of its runtime: sockets, and digests that need no thread. */
export interface WirePort {
  /** Rejects when nobody answers; how long that takes is the caller's to bound. */
  dial(endpoint: Endpoint, listener: Listener): Promise<Stream>;
  md5(bytes: Uint8Array): Uint8Array;
  sha256(bytes: Uint8Array): Uint8Array;
  hmacSha256(key: Uint8Array, bytes: Uint8Array): Uint8Array;
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
