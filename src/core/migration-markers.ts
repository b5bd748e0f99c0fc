/**
 * Finds the markers of a migration file: line comments that begin their line, found at token level, so that the same
 * text inside a string, a dollar-quoted body or a block comment is none. A line that only nearly is a marker is a
 * problem and not a comment: read as a comment it would run the down part together with the up part.
 */

import { isOptionKey, type OptionWord, type Problem } from "./migration-options.ts";
import { isSignificant, type Token } from "./sql-lexer.ts";

/** A marker and the words behind it. */
export interface Marker {
  readonly kind: "up" | "down" | "options";
  /** Of the comment in the text, in UTF-16 code units; the line end is not part of it. */
  readonly start: number;
  readonly end: number;
  readonly words: readonly OptionWord[];
}

/** The markers in the order of the file, and what only looks like one. */
export interface MarkersReading {
  readonly markers: readonly Marker[];
  readonly problems: readonly Problem[];
}

const SECTION = /^--[ \t]*migrate:(up|down)(?=[ \t]|$)/;
const NEARLY_SECTION =
  /^--+[ \t]*migrate(?::\w|[ \t]*[:_-][ \t]*(?:up|down)\b|[ \t]+(?:up|down)[ \t]*$)/i;
const OPTIONS = /^--[ \t]*headgate:/;
/** goose, sql-migrate and node-pg-migrate. */
const FOREIGN =
  /^--[ \t-]*(?:\+(?:goose|migrate)[ \t]+(?:up|down)\b|(?:up|down)[ \t]+migration[ \t]*$)/i;
const WORD = /\S+/g;

/** Reads every marker of a file from its tokens. */
export function readMarkers(text: string, tokens: readonly Token[]): MarkersReading {
  const markers: Marker[] = [];
  const problems: Problem[] = [];
  for (const token of tokens) {
    if (token.kind !== "line-comment") continue;
    const reading = readComment(text, token);
    if (typeof reading === "string") problems.push({ offset: token.start, message: reading });
    else if (reading !== undefined) markers.push(reading);
  }
  return { markers, problems: [...problems, ...orderProblems(markers, tokens)] };
}

/** A marker, a sentence about what is wrong with it, or undefined for a comment like any other. */
function readComment(text: string, token: Token): Marker | string | undefined {
  const lineStart = text.lastIndexOf("\n", token.start) + 1;
  const isFirstOnLine = text.slice(lineStart, token.start).trim() === "";
  if (!isFirstOnLine) return undefined;
  const comment = text.slice(token.start, token.end);
  const isMarkerLike = SECTION.test(comment) || OPTIONS.test(comment);
  if (token.start === lineStart && isMarkerLike) return markerOf(comment, token);
  return lookalikeProblem(comment);
}

function markerOf(comment: string, token: Token): Marker | string | undefined {
  const [opening, direction] = SECTION.exec(comment) ?? OPTIONS.exec(comment) ?? [""];
  const words = wordsAfter(comment, opening.length, token.start);
  const place = { start: token.start, end: token.end, words };
  if (direction !== undefined) return { kind: direction === "up" ? "up" : "down", ...place };
  if (token.start === 0) return { kind: "options", ...place };
  return lookalikeProblem(comment);
}

function wordsAfter(comment: string, from: number, start: number): readonly OptionWord[] {
  const rest = comment.slice(from);
  return [...rest.matchAll(WORD)].map((word) => ({
    text: word[0],
    offset: start + from + word.index,
  }));
}

function lookalikeProblem(comment: string): string | undefined {
  if (FOREIGN.test(comment)) {
    return "another tool's annotation, which is not read yet; use -- migrate:up and -- migrate:down";
  }
  if (NEARLY_SECTION.test(comment)) {
    return "this is not quite a marker; a marker begins its line and is -- migrate:up or -- migrate:down";
  }
  const [opening] = OPTIONS.exec(comment) ?? [];
  const [key = ""] = comment
    .slice(opening?.length ?? comment.length)
    .trim()
    .split(":");
  return isOptionKey(key)
    ? "options after -- headgate: are read on the first line only"
    : undefined;
}

function orderProblems(markers: readonly Marker[], tokens: readonly Token[]): readonly Problem[] {
  const ups = markers.filter((marker) => marker.kind === "up");
  const downs = markers.filter((marker) => marker.kind === "down");
  const [up] = ups;
  const [down] = downs;
  const problems = [...ups.slice(1), ...downs.slice(1)].map((marker) => ({
    offset: marker.start,
    message: `a second -- migrate:${marker.kind}`,
  }));
  if (down !== undefined && (up === undefined || down.start < up.start)) {
    problems.push({
      offset: down.start,
      message: "-- migrate:down without -- migrate:up before it",
    });
  }
  const early = up && tokens.find((token) => token.start < up.start && isSignificant(token));
  if (early !== undefined && !(down !== undefined && down.start < early.start)) {
    problems.push({ offset: early.start, message: "SQL before -- migrate:up belongs to no part" });
  }
  const [word] = down?.words ?? [];
  if (word !== undefined) {
    problems.push({
      offset: word.offset,
      message: "-- migrate:down takes no options in this version",
    });
  }
  return problems;
}
