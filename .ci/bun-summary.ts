/** What `bun test` printed, as numbers and names. Pure. */
import { stripVTControlCharacters } from "node:util";

export interface Summary {
  readonly passed: number;
  readonly failed: number;
  /** Names of tests that did not run, "(no name)" for those that only the numbers tell of. */
  readonly skipped: readonly string[];
  /** "file: test", then the first lines of its error, indented. */
  readonly failures: readonly string[];
}

const ERROR_LINES = 6;

/**
 * The last summary in the output. A runner that crashed prints none, and one that a test ended with
 * `process.exit(0)` prints none either: both are one failure, whatever the exit status says.
 */
export function readSummary(output: string, status: number | string): Summary {
  const text = stripVTControlCharacters(output).replaceAll("\r\n", "\n");
  if (/^error: regex .* matched 0 tests/m.test(text)) {
    return { passed: 0, failed: 0, skipped: [], failures: [] };
  }
  const end = [...text.matchAll(/^Ran \d+ tests? across \d+ files?\./gm)].at(-1);
  const failures = failuresIn(text);
  if (end === undefined) {
    const problem = `${lastFile(text)}: bun test ended without a summary (${status})`;
    return { passed: 0, failed: 1, skipped: [], failures: [...failures, problem] };
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
  if (status === 0 || failed > 0) return { passed, failed, skipped, failures };
  const problem = `${lastFile(text)}: bun test ended with ${status}, no test failed`;
  return { passed, failed: 1, skipped, failures: [...failures, problem] };
}

/** The error stands above the test's line, a timeout below it; a long run repeats the lines at its end. */
function failuresIn(text: string): readonly string[] {
  const [all = ""] = text.split(/^\d+ tests? failed:$/m);
  const failures: string[] = [];
  let file = "(no file)";
  let above: string[] = [];
  for (const line of all.split("\n")) {
    file = fileOf(line) ?? file;
    if (/^\s+\^ this test timed out/.test(line)) failures.push(`  ${line.trim()}`);
    if (line.startsWith("# Unhandled error between tests"))
      failures.push(`${file}: ${line.slice(2)}`);
    const name = /^\((pass|fail|skip|todo)\) (.*?)(?: \[[^\]]*\])?$/.exec(line);
    if (name?.[1] === "fail") failures.push(`${file}: ${name[2]}`, ...errorIn(above));
    above = name ? [] : [...above, line];
  }
  return failures;
}

function fileOf(line: string): string | undefined {
  return /^(\S+\.test\.ts):$/.exec(line)?.[1];
}

function lastFile(text: string): string {
  return (
    text
      .split("\n")
      .map(fileOf)
      .findLast((file) => file !== undefined) ?? "(no file)"
  );
}

/** Its last error, without the place in the code. */
function errorIn(lines: readonly string[]): readonly string[] {
  const start = lines.findLastIndex((line) => /^\w*[eE]rror: /.test(line));
  const end = lines.findIndex((line, i) => i > start && /^\s+at /.test(line));
  return lines
    .slice(start === -1 ? lines.length : start, end === -1 ? lines.length : end)
    .filter((line) => line.trim() !== "")
    .slice(0, ERROR_LINES)
    .map((line) => `  ${line}`);
}
