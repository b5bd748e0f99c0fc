/** Runs many cases: those that share servers side by side, the others on servers of their own. */
import type { Substrate } from "../support/substrate.ts";
import { type Case, FAULTS, nameOf } from "./cases.ts";
import type { Evidence, Violation } from "./evidence.ts";
import { judge } from "./invariants.ts";
import { runCase } from "./run-case.ts";
import { openSite, type Site } from "./site.ts";
import type { Cast } from "./stage.ts";

/** What came of one case. */
export interface Verdict {
  readonly each: Case;
  /** Undefined: the case could not be run to its end, and the only violation says why. */
  readonly evidence: Evidence | undefined;
  readonly violations: readonly (
    | Violation
    | { readonly invariant: "none"; readonly text: string }
  )[];
}

export interface MatrixWish {
  readonly cast: Cast;
  /** How many cases at a time on shared servers. */
  readonly jobs: number;
  /** How many servers on which one disruptive case after the other runs. */
  readonly lanes: number;
  readonly onVerdict: (verdict: Verdict) => void;
}

export interface Matrix {
  readonly verdicts: readonly Verdict[];
  /** PostgreSQL's and PgBouncer's. */
  readonly versions: readonly [string, string];
}

/** All cases, in about the given order. */
export async function runMatrix(
  substrate: Substrate,
  cases: readonly Case[],
  wish: MatrixWish,
): Promise<Matrix> {
  const isDisruptive = ({ fault }: Case): boolean => FAULTS[fault].isDisruptive === true;
  const alone = cases.filter(isDisruptive);
  const together = cases.filter((each) => !isDisruptive(each));
  const shared = await openSite(substrate);
  const lanes = await inTurn(Math.min(wish.lanes, alone.length), () => openSite(substrate));
  const verdicts: Verdict[] = [];
  const work = async (queue: Case[], site: Site): Promise<void> => {
    for (let each = queue.shift(); each; each = queue.shift()) {
      const verdict = await verdictOf(site, each, wish.cast);
      verdicts.push(verdict);
      wish.onVerdict(verdict);
    }
  };
  const [sharedQueue, laneQueue] = [[...together], [...alone]];
  await Promise.all([
    ...Array.from({ length: wish.jobs }, () => work(sharedQueue, shared)),
    ...lanes.map((site) => work(laneQueue, site)),
  ]);
  return { verdicts, versions: shared.versions };
}

/** Never throws: a case that cannot be run is a red one. */
export async function verdictOf(site: Site, each: Case, cast: Cast): Promise<Verdict> {
  try {
    const evidence = await runCase(site, each, cast);
    return { each, evidence, violations: judge(evidence) };
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { each, evidence: undefined, violations: [{ invariant: "none", text }] };
  }
}

/** One line: name, what it took, what did not hold. */
export function describeVerdict({ each, evidence, violations }: Verdict): string {
  const seconds = evidence ? `${(evidence.wallMs / 1000).toFixed(1)} s` : "not run";
  const person = evidence?.settled ? `, settled by a person (${evidence.settled.how})` : "";
  const mark = violations.length === 0 ? "ok " : "RED";
  const lines = violations.map(({ invariant, text }) => `      ${invariant}: ${text}`);
  return [`${mark} ${nameOf(each)} (${seconds}${person})`, ...lines].join("\n");
}

async function inTurn<T>(count: number, make: () => Promise<T>): Promise<readonly T[]> {
  const made: T[] = [];
  for (let n = 0; n < count; n += 1) made.push(await make());
  return made;
}
