/** The words of a bundle, as types. */

/** A list with a first element. */
export type NonEmpty<T> = readonly [T, ...T[]];

/** Options of a migration, from its marker line or its first-line `-- headgate:` comment. */
export interface MigrationOptions {
  /** False: run outside a transaction. */
  readonly transaction: boolean;
  /** Applied as SET LOCAL lock_timeout around the body. Undefined: the command's default. */
  readonly lockTimeoutMs: number | undefined;
  /** Applied as SET LOCAL statement_timeout around the body. Undefined: no limit. */
  readonly statementTimeoutMs: number | undefined;
  /** True: an older binary must not run against this schema. */
  readonly breaking: boolean;
  /** True: run outside a transaction although the role's timeouts may cut it short. */
  readonly acceptTimeouts: boolean;
}

/** One file of a bundle. */
export interface Migration {
  /** 0..2^53-1, unique in its bundle. */
  readonly version: number;
  /** File name without version and ending: `create_roles`. */
  readonly name: string;
  /** File name as it stands in the folder: `0003_create_roles.sql`. */
  readonly file: string;
  /** Whole text after normalisation (no byte-order mark, line ends are LF). */
  readonly text: string;
  /** SHA-256 of `text`, lower-case hex. */
  readonly checksum: string;
  /** SHA-256 over (previous migration's history, version, checksum): one value proves all before it. */
  readonly history: string;
  /** The part to apply, and where it starts in `text` (UTF-16 code units). */
  readonly up: Section;
  /** The part that reverts, when the file has one. */
  readonly down: Section | undefined;
  readonly options: MigrationOptions;
}

/** A part of a migration's text. `sql === text.slice(start, start + sql.length)`. */
export interface Section {
  readonly sql: string;
  readonly start: number;
}

/** Ascending by version, no duplicates; may be empty (an empty bundle is never at head). */
export type Bundle = readonly Migration[];
