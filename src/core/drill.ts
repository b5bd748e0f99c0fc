/** A drill's migrations, its size, and what its runners say. */
import { buildBundle, type SourceFile } from "./bundle.ts";
import type { Scratch } from "./drill-scratch.ts";
import { quoteLedger } from "./identifier.ts";
import type { Migration, NonEmpty } from "./migration.ts";

/** Quick ones, and a slow one at the end: most of a race is spent in it, and so are the kills. */
const SLEEPS_S: readonly string[] = ["0.2", "0.2", "0.2", "0.2", "0.2", "1.5"];

/** The version of the last migration. */
export const LAST_STEP: number = SLEEPS_S.length;

/** A machine that starts many processes at once hears of a start late. */
const KILL_WINDOW_MAX_MS = 500;

/** How long a kill may come after a migration's start and still hit its middle, in milliseconds. */
export function killWindowMs(version: number): number {
  return Math.min(KILL_WINDOW_MAX_MS, Number(SLEEPS_S[version - 1] ?? 0) * 800);
}

/** Built in memory by every runner, so that no file has to be handed over. */
export function drillBundle({ audit }: Scratch): NonEmpty<Migration> {
  const table = quoteLedger(audit);
  const files = SLEEPS_S.map(
    (sleepS, at): SourceFile => ({
      file: `${at + 1}_step.sql`,
      text: `insert into ${table} (version) values (${at + 1});
select pg_sleep(${sleepS});
update ${table} set ended_at = clock_timestamp() where version = ${at + 1} and ended_at is null;
`,
    }),
  );
  return buildBundle(files, "the drill") as readonly Migration[] as NonEmpty<Migration>;
}

/** How many runners, and how many of them are killed. */
export interface DrillSize {
  readonly replicas: number;
  readonly kill: number;
}

/** Never more than half of the connections that are free: the application needs the others. */
export function sizeWithin(wish: DrillSize, free: number): DrillSize {
  const replicas = Math.min(wish.replicas, Math.max(0, Math.floor(free / 2)));
  return { replicas, kill: Math.max(0, Math.min(wish.kill, replicas - 1)) };
}

/** What a runner wrote to stderr, as far as a drill needs it. */
export interface RunnerLine {
  readonly event: string;
  readonly version: number | undefined;
  readonly reason: string | undefined;
}

/** Undefined: the line is no event. */
export function parseRunnerLine(line: string): RunnerLine | undefined {
  try {
    const { event, version, reason } = JSON.parse(line) as Readonly<Record<string, unknown>>;
    return {
      event: String(event),
      version: typeof version === "number" ? version : undefined,
      reason: typeof reason === "string" ? reason : undefined,
    };
  } catch {
    return undefined;
  }
}
