/** Durations as people write them, and as messages show them. Inside the program they are milliseconds. */

const DURATION = /^(\d+(?:\.\d{1,3})?)(ms|s|m|h)?$/;
const MS_PER_UNIT: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
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
  const [, amount, unit] = DURATION.exec(text.trim()) ?? [];
  if (amount === undefined) return undefined;
  const thousandths = Number(amount) * 1000 * (MS_PER_UNIT[unit ?? "s"] ?? Number.NaN);
  const ms = Math.round(thousandths) / 1000;
  return Number.isInteger(ms) && ms <= DURATION_MAX_MS ? ms : undefined;
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
