/** What is wrong with a command line. */
import { HeadgateError } from "../core/error.ts";

/** An error whose hint is the next step; without one, the help. */
export function usage(problem: string, hint?: string): HeadgateError {
  return new HeadgateError(`Cannot read the command line: ${problem}`, {
    code: "usage",
    hint: hint ?? 'Run "headgate --help"',
  });
}
