/** Problems of settings: one error type, and a way to report many at once. */

import { HeadgateError } from "../core/error.ts";
import type { NonEmpty } from "../core/migration.ts";

const PREFIX = "Cannot load settings: ";

/** `problem` names a variable, a flag or a parameter, and never shows a value: values hold passwords. */
export function settingsError(problem: string, hint?: string): HeadgateError {
  const code = "config-invalid";
  return new HeadgateError(`${PREFIX}${problem}`, hint === undefined ? { code } : { code, hint });
}

/**
 * Runs `read`; a problem of settings goes to `errors` and yields undefined, so that the first mistake
 * does not hide the second.
 */
export function attempt<T>(read: () => T, errors: HeadgateError[]): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof HeadgateError) || error.code !== "config-invalid") throw error;
    errors.push(error);
    return undefined;
  }
}

/** One error that says them all; the same problem is said once. */
export function combineErrors(errors: NonEmpty<HeadgateError>): HeadgateError {
  const [first, ...others] = errors;
  if (others.length === 0) return first;
  const problems = errors.map((error) => error.message.replace(PREFIX, ""));
  const hint = errors.find((error) => error.hint !== undefined)?.hint;
  return settingsError([...new Set(problems)].join("; "), hint);
}

/**
 * Ends a block of `attempt`s.
 *
 * @throws {HeadgateError} config-invalid when `errors` is not empty
 */
export function throwIfAny(errors: readonly HeadgateError[]): void {
  const [first, ...others] = errors;
  if (first !== undefined) throw combineErrors([first, ...others]);
}
