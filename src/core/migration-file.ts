/** Reads one migration file of headgate's own format. */

import { checksumOf, normalise } from "./checksum.ts";
import { HeadgateError } from "./error.ts";
import type { Migration, Section } from "./migration.ts";
import { type Marker, readMarkers } from "./migration-markers.ts";
import { parseMigrationName } from "./migration-name.ts";
import { type Problem, parseOptions } from "./migration-options.ts";
import { printable, renderCaret } from "./source-position.ts";
import { isSignificant, type Token, tokenize } from "./sql-lexer.ts";

/** A migration before its place in a bundle is known: without `history`. */
export type ParsedMigration = Omit<Migration, "history">;

/** A file that was read, or every problem of it: each a text of 1..n lines that begins with the file name. */
export type MigrationReading =
  | { readonly kind: "parsed"; readonly migration: ParsedMigration }
  | { readonly kind: "unusable"; readonly problems: readonly string[] };

/**
 * Reads a file by its name and text.
 *
 * @throws {HeadgateError} `bundle-invalid`: names every problem of the file.
 *
 * @example
 * ```ts
 * parseMigrationFile("0001_init.sql", "create table a ();").version; // 1
 * ```
 */
export function parseMigrationFile(file: string, rawText: string): ParsedMigration {
  const reading = readMigration(file, rawText);
  if (reading.kind === "parsed") return reading.migration;
  throw new HeadgateError(`Cannot use ${printable(file)}:\n${reading.problems.join("\n")}`, {
    code: "bundle-invalid",
  });
}

/** The same, with the problems as a value, so that a whole bundle can report all of its files at once. */
export function readMigration(file: string, rawText: string): MigrationReading {
  const text = normalise(rawText);
  const name = parseMigrationName(file);
  const body = readBody(text);
  const problems = body.problems.map((each) => renderCaret(file, text, each.offset, each.message));
  if (name.kind === "unusable") return { kind: "unusable", problems: [name.problem, ...problems] };
  if (problems.length > 0) return { kind: "unusable", problems };
  const { up, down, options } = body;
  const { version } = name;
  const checksum = checksumOf(text);
  return {
    kind: "parsed",
    migration: { version, name: name.name, file, text, checksum, up, down, options },
  };
}

interface Body extends Pick<Migration, "up" | "down" | "options"> {
  /** Ascending by offset. With a problem the rest is not to be used. */
  readonly problems: readonly Problem[];
}

function readBody(text: string): Body {
  const tokens = tokenize(text);
  const { markers, problems } = readMarkers(text, tokens);
  const upMarker = markers.find((marker) => marker.kind === "up");
  const downMarker = markers.find((marker) => marker.kind === "down");
  const words = markers.flatMap((marker) => (marker.kind === "down" ? [] : marker.words));
  const reading = parseOptions(words);
  const up = sectionBetween(text, afterLine(text, upMarker), downMarker?.start ?? text.length);
  const down = downMarker && sectionBetween(text, afterLine(text, downMarker), text.length);
  const found = [...problems, ...reading.problems, ...nulProblems(text)];
  if (problems.length === 0 && !hasStatement(text, tokens, up)) {
    found.push({
      offset: upMarker?.start ?? 0,
      message: "nothing to run: only comments and space",
    });
  }
  return {
    up,
    down: down && hasStatement(text, tokens, down) ? down : undefined,
    options: reading.options,
    problems: found.sort((a, b) => a.offset - b.offset),
  };
}

function sectionBetween(text: string, start: number, end: number): Section {
  return { sql: text.slice(start, Math.max(start, end)), start };
}

/** Offset of the line after a marker; 0 without one. */
function afterLine(text: string, marker: Marker | undefined): number {
  return marker === undefined ? 0 : Math.min(marker.end + 1, text.length);
}

/** True when the section holds more than comments, space and lone semicolons. */
function hasStatement(text: string, tokens: readonly Token[], section: Section): boolean {
  const end = section.start + section.sql.length;
  return tokens.some(
    (token) =>
      token.start >= section.start &&
      token.start < end &&
      isSignificant(token) &&
      text[token.start] !== ";",
  );
}

/** PostgreSQL's protocol ends a query at the first NUL: what stands behind it would not run. */
function nulProblems(text: string): readonly Problem[] {
  const offset = text.indexOf("\0");
  return offset < 0 ? [] : [{ offset, message: "a NUL character ends the query for the server" }];
}
