/** The matrix as tables. Pure. */
import { FAULTS, MOMENTS, type MomentName } from "./cases.ts";
import type { Verdict } from "./run-matrix.ts";

/** What README.md says about the last full run. */
export interface Summary {
  readonly seed: number;
  readonly postgres: string;
  readonly pgbouncer: string;
  readonly cases: number;
  readonly red: number;
  /** Converged after a person had decided, as `status` said they must. */
  readonly settled: number;
  /** Fault → moment → how many cases. */
  readonly counts: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Fault → the longest that a lock of the gate was there after its owner, and the bound; in ms. */
  readonly tails: Readonly<Record<string, { readonly ms: number; readonly boundMs: number }>>;
}

export function summarise(
  verdicts: readonly Verdict[],
  facts: Pick<Summary, "seed" | "postgres" | "pgbouncer">,
): Summary {
  const faults = Object.keys(FAULTS);
  const of = (fault: string): readonly Verdict[] =>
    verdicts.filter(({ each }) => each.fault === fault);
  return {
    ...facts,
    cases: verdicts.length,
    red: verdicts.filter(({ violations }) => violations.length > 0).length,
    settled: verdicts.filter(({ evidence }) => evidence?.settled).length,
    counts: Object.fromEntries(faults.map((fault) => [fault, countMoments(of(fault))])),
    tails: Object.fromEntries(
      faults.flatMap((fault) => {
        const longest = longestTail(of(fault));
        return longest ? [[fault, longest]] : [];
      }),
    ),
  };
}

function countMoments(verdicts: readonly Verdict[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { each } of verdicts) counts[each.moment] = (counts[each.moment] ?? 0) + 1;
  return counts;
}

function longestTail(
  verdicts: readonly Verdict[],
): { readonly ms: number; readonly boundMs: number } | undefined {
  const tails = verdicts.flatMap(({ evidence }) => evidence?.tails ?? []);
  return tails.sort((a, b) => b.ms - a.ms)[0];
}

/** One row per moment, one column per fault, and the sums. */
export function renderSummary(summary: Summary): string {
  const faults = Object.keys(FAULTS);
  const moments = Object.keys(MOMENTS) as readonly MomentName[];
  const countOf = (fault: string, moment: string): number => summary.counts[fault]?.[moment] ?? 0;
  const rows = moments.map((moment) => {
    const counts = faults.map((fault) => countOf(fault, moment));
    return [moment, ...counts.map((count) => (count === 0 ? "" : String(count))), sum(counts)];
  });
  const totals = faults.map((fault) => sum(moments.map((moment) => countOf(fault, moment))));
  const tail = (fault: string): string => {
    const longest = summary.tails[fault];
    return longest ? `${(longest.ms / 1000).toFixed(1)} s of ${longest.boundMs / 1000} s` : "";
  };
  const head = ["Moment", ...faults, "All"];
  return [
    `${summary.cases} cases: ${summary.red} red, ${summary.settled} settled by a person. Seed ${summary.seed}, PostgreSQL ${summary.postgres}, PgBouncer ${summary.pgbouncer}.`,
    "",
    line(head),
    line(head.map(() => "---")),
    ...rows.map(line),
    line(["All", ...totals, String(summary.cases)]),
    line(["Lock outlived its owner, at most", ...faults.map(tail), ""]),
  ].join("\n");
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

function sum(counts: readonly (number | string)[]): string {
  return String(counts.reduce<number>((total, count) => total + Number(count), 0));
}
