/** Says of each migration once that this run applied it, whoever knows first: COMMIT or the ledger. */
import type { World } from "./access.ts";
import type { Applied } from "./apply.ts";

/** What one run has said. */
export interface Announcer {
  /** What is known to be applied by this run; what was said before is not said again. */
  applied(done: readonly Applied[]): void;
  /** Somebody else said it. */
  wasSaid(version: number): void;
}

/** For one run. */
export function announcer({ log }: World): Announcer {
  const said = new Set<number>();
  return {
    applied: (done) => {
      for (const { version, name, durationMs } of done) {
        if (said.has(version)) continue;
        said.add(version);
        log("migration.applied", { version, name, duration_ms: durationMs });
      }
    },
    wasSaid: (version) => void said.add(version),
  };
}
