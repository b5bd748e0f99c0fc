/** Turns an offset in a text into a place that a person can find. */

/** A place: line and column count from 1, the column in code points. */
export interface Position {
  readonly line: number;
  readonly column: number;
  /** The whole line without its line end. */
  readonly lineText: string;
}

/** Code points of a line that are shown before and after the caret. */
const SHOWN_BEFORE = 60;
const SHOWN_AFTER = 38;

/**
 * Finds the line and column of `offset` (UTF-16 code units; outside the text it is moved to the nearest end).
 *
 * @example
 * ```ts
 * locate("select 1;\ncommit;", 10); // { line: 2, column: 1, lineText: "commit;" }
 * ```
 */
export function locate(text: string, offset: number): Position {
  const at = Math.min(Math.max(offset, 0), text.length);
  const lineStart = at === 0 ? 0 : text.lastIndexOf("\n", at - 1) + 1;
  const newline = text.indexOf("\n", at);
  const lineText = text.slice(lineStart, newline < 0 ? text.length : newline);
  return {
    line: countNewlines(text, lineStart) + 1,
    column: countCodePoints(text, lineStart, at) + 1,
    lineText: lineText.endsWith("\r") ? lineText.slice(0, -1) : lineText,
  };
}

/**
 * Shows where `offset` is, with `message` when there is one: three lines without a final line end. Tabs are kept so
 * that the caret lines up; a long line is cut around the caret; other control characters cannot reach a terminal.
 *
 * @example
 * ```ts
 * renderCaret("0003_roles.sql", "commit;", 0);
 * // 0003_roles.sql:1:1
 * //   1 | commit;
 * //     | ^
 * ```
 */
export function renderCaret(file: string, text: string, offset: number, message = ""): string {
  const { line, column, lineText } = locate(text, offset);
  const at = offsetOfColumn(lineText, column);
  const before = lastCodePoints(lineText.slice(0, at));
  const after = firstCodePoints(lineText.slice(at));
  const indent = before.replace(/[^\t]/gu, " ");
  const gutter = " ".repeat(String(line).length);
  return [
    `${printable(file)}:${line}:${column}${message === "" ? "" : `: ${printable(message)}`}`,
    `  ${line} | ${printable(before + after)}`,
    `  ${gutter} | ${indent}^`,
  ].join("\n");
}

/** Replaces every control character but the tab, so that a text can be shown on a terminal. */
export function printable(text: string): string {
  return text.replace(/[^\P{Cc}\t]/gu, "\uFFFD");
}

function countNewlines(text: string, end: number): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at >= 0 && at < end; at = text.indexOf("\n", at + 1)) {
    count += 1;
  }
  return count;
}

/** Counts code points that begin in [start, end): every code unit but the second half of a pair. */
function countCodePoints(text: string, start: number, end: number): number {
  let count = 0;
  for (let at = start; at < end; at += 1) {
    if (!isSecondHalf(text, at)) count += 1;
  }
  return count;
}

function offsetOfColumn(lineText: string, column: number): number {
  let at = 0;
  for (let left = column - 1; left > 0 && at < lineText.length; left -= 1) {
    at += isSecondHalf(lineText, at + 1) ? 2 : 1;
  }
  return at;
}

function isSecondHalf(text: string, at: number): boolean {
  const isLow = (text.charCodeAt(at) & 0xfc00) === 0xdc00;
  return isLow && (text.charCodeAt(at - 1) & 0xfc00) === 0xd800;
}

function lastCodePoints(text: string): string {
  const near = Array.from(text.slice(-2 * SHOWN_BEFORE - 4));
  return near.length <= SHOWN_BEFORE ? text : `…${near.slice(1 - SHOWN_BEFORE).join("")}`;
}

function firstCodePoints(text: string): string {
  const near = Array.from(text.slice(0, 2 * SHOWN_AFTER + 4));
  return near.length <= SHOWN_AFTER ? text : `${near.slice(0, SHOWN_AFTER - 1).join("")}…`;
}
