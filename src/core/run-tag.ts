/** By what a run is known in pg_stat_activity. */

/** Before every statement of a run. `run` is a UUID of our own making, so it cannot end the comment. */
export function tagComment(run: string): string {
  return `/* headgate:${run} */`;
}
