/** Durations as people write them, and as messages show them. Inside the program they are milliseconds. */

import { DIGITS, isMadeOf } from "./ascii.ts";

/** A plain number is seconds. */
const MS_PER_UNIT: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  "": 1000,
};
/** What fits into 32 bits: a longer timer fires at once, and PostgreSQL refuses a longer setting. */
const DURATION_MAX_MS = 24 * 24 * 3_600_000;
/** Long units, largest first, in seconds. */
const PARTS: readonly (readonly [name: string, seconds: number])[] = [
  ["d", 86_400],
  ["h", 3600],
  ["min", 60],
  ["s", 1],
];

/**
 * Reads `500ms`, `3s`, `15m`, `2h`, or a plain number of seconds; space around it is ignored. Gives whole
 * milliseconds, 0..24 days, or undefined. A value that is not a whole number of milliseconds is refused and not
 * rounded: rounded to 0 it would mean "no limit" to PostgreSQL.
 *
 * @example
 * ```ts
 * parseDurationMs("1.5s"); // 1500
 * ```
 */
export function parseDurationMs(text: string): number | undefined {
  const trimmed = text.trim();
  const last = trimmed.charAt(trimmed.length - 1);
  const letter = DIGITS.includes(last) ? "" : last;
  const unit = trimmed.endsWith("ms") ? "ms" : letter;
  const amount = trimmed.slice(0, trimmed.length - unit.length);
  if (!isAmount(amount)) return undefined;
  const thousandths = Number(amount) * 1000 * (MS_PER_UNIT[unit] ?? Number.NaN);
  const ms = Math.round(thousandths) / 1000;
  return Number.isInteger(ms) && ms <= DURATION_MAX_MS ? ms : undefined;
}

/** Digits, and perhaps a point and one to three more. */
function isAmount(text: string): boolean {
  const point = text.indexOf(".");
  if (point === -1) return text !== "" && isMadeOf(text, "", DIGITS);
  const [whole, part] = [text.slice(0, point), text.slice(point + 1)];
  const isShort = part.length >= 1 && part.length <= 3;
  return whole !== "" && isShort && isMadeOf(whole + part, "", DIGITS);
}

/**
 * Shows a duration in a message: `250 ms`, `1.5 s`, `1 min 5 s`, `2 h`. From one minute on it is rounded to whole
 * seconds.
 *
 * @example
 * ```ts
 * renderDuration(65_000); // "1 min 5 s"
 * ```
 */
export function renderDuration(durationMs: number): string {
  const ms = Math.round(durationMs);
  if (!Number.isFinite(ms) || ms < 1000) return `${ms} ms`;
  if (ms < 60_000) return `${ms / 1000} s`;
  let rest = Math.round(ms / 1000);
  const parts: string[] = [];
  for (const [name, seconds] of PARTS) {
    const count = Math.floor(rest / seconds);
    if (count > 0) parts.push(`${count} ${name}`);
    rest -= count * seconds;
  }
  return parts.join(" ");
}
