/** What `bun test` printed, as numbers. Pure. */
import { stripVTControlCharacters } from "node:util";

export interface Summary {
  readonly passed: number;
  readonly failed: number;
  /** Names of tests that did not run, "(no name)" for those that only the numbers tell of. */
  readonly skipped: readonly string[];
  /** Why something counts as failed that no test reported. */
  readonly problem?: string;
}

/**
 * The last summary in the output. A runner that crashed prints none, and one that a test ended with
 * `process.exit(0)` prints none either: both are one failure, whatever the exit status says.
 */
export function readSummary(output: string, status: number | string): Summary {
  const text = stripVTControlCharacters(output).replaceAll("\r\n", "\n");
  if (/^error: regex .* matched 0 tests/m.test(text)) return { passed: 0, failed: 0, skipped: [] };
  const end = [...text.matchAll(/^Ran \d+ tests? across \d+ files?\./gm)].at(-1);
  if (end === undefined) {
    const problem = `bun test ended without a summary (${status})`;
    return { passed: 0, failed: 1, skipped: [], problem };
  }
  const numbers = text.slice(0, end.index).split("\n\n").at(-1) ?? "";
  const count = (word: string): number =>
    Number(new RegExp(`^ (\\d+) ${word}\\b`, "m").exec(numbers)?.[1] ?? 0);
  const names = [...text.matchAll(/^\((?:skip|todo)\) (.*?)(?: \[[^\]]*\])?$/gm)];
  const skipped = Array.from(
    { length: count("skip") + count("todo") }, // a long run lists them again at its end
    (_, i) => names[i]?.[1] ?? "(no name)",
  );
  const [passed, failed] = [count("pass"), count("fail")];
  if (status === 0 || failed > 0) return { passed, failed, skipped };
  return { passed, failed: 1, skipped, problem: `bun test ended with ${status}, no test failed` };
}
