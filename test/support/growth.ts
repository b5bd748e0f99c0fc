/** Whether work grows with its input or faster: a ratio in one run, whatever the machine. */

const PARTS = 8;
/** Linear work takes 8 times as long for 8 times as much, quadratic work 64 times. */
export const LINEAR_GROWTH_MAX = 30;
/** Shorter times are the clock's. */
const SHORTEST_MS = 5;
const ATTEMPTS = 3;

/** How many times as long the whole text takes as its first eighth; each the best of three. */
export function growthOf(text: string, work: (text: string) => unknown): number {
  const eighth = text.slice(0, text.length / PARTS);
  return (
    bestMs(() => work(text)) /
    Math.max(
      SHORTEST_MS,
      bestMs(() => work(eighth)),
    )
  );
}

function bestMs(work: () => unknown): number {
  const times = Array.from({ length: ATTEMPTS }, () => {
    const startMs = performance.now();
    work();
    return performance.now() - startMs;
  });
  return Math.min(...times);
}
