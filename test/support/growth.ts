/** Whether work grows with its input or faster: a ratio in one run, whatever the machine. */
import process from "node:process";

/** Of a test that measures growth. */
export const GROWTH_TIMEOUT_MS = 120_000;

const PARTS = 8;
/** Linear work takes 8 times as long for 8 times as much, quadratic work 64 times. */
export const LINEAR_GROWTH_MAX = 30;
/** Shorter times are the clock's. */
const SHORTEST_MS = 5;
const ROUNDS_MIN = 3;
/** Growth that stays above the limit is measured again, before it counts. */
const ROUNDS_MAX = 12;

/**
 * How many times as long the whole text takes as its first eighth, in processor time: what other
 * processes do meanwhile counts less. Each is the best of all rounds.
 */
export function growthOf(text: string, work: (text: string) => unknown): number {
  const eighth = text.slice(0, text.length / PARTS);
  let partMs = Number.POSITIVE_INFINITY;
  let wholeMs = Number.POSITIVE_INFINITY;
  const growth = (): number => wholeMs / Math.max(SHORTEST_MS, partMs);
  for (let round = 1; round <= ROUNDS_MAX; round += 1) {
    partMs = Math.min(
      partMs,
      costMs(() => work(eighth)),
    );
    wholeMs = Math.min(
      wholeMs,
      costMs(() => work(text)),
    );
    if (round >= ROUNDS_MIN && growth() < LINEAR_GROWTH_MAX) break;
  }
  return growth();
}

function costMs(work: () => unknown): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
