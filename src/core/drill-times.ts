/** How long a drill took to recover, by the clock of the process that watched it. */

/** One runner that was killed. */
export interface Kill {
  readonly atMs: number;
  /** It was applying a migration. */
  readonly isInside: boolean;
}

/**
 * The longest time from a kill inside the gate to the next runner that began a migration.
 *
 * @param starts When migrations began, ascending.
 * @returns Undefined: nobody had to begin one again.
 */
export function recoveryMs(kills: readonly Kill[], starts: readonly number[]): number | undefined {
  const gaps = kills.flatMap(({ atMs, isInside }) => {
    const next = isInside ? starts.find((startMs) => startMs > atMs) : undefined;
    return next === undefined ? [] : [next - atMs];
  });
  return gaps.length === 0 ? undefined : Math.max(...gaps);
}

/**
 * From the last kill to the first runner that had found head.
 *
 * @param heads When runners ended well, in any order.
 */
export function headAfterMs(kills: readonly Kill[], heads: readonly number[]): number | undefined {
  const lastMs = kills.at(-1)?.atMs;
  if (lastMs === undefined || heads.length === 0) return undefined;
  return Math.max(0, Math.min(...heads) - lastMs);
}
