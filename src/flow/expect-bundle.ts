/** Whether this binary carries the bundle that a manifest was written for. */
import { HeadgateError } from "../core/error.ts";
import type { Head } from "../core/head.ts";

/** How much of a fingerprint people compare. */
const SHOWN = 12;

/** What tells this bundle apart in a line of the log. */
export function shortOf({ history }: Head): string {
  return history.slice(0, SHOWN);
}

/**
 * Names both sides: a Job and its pods that run two images would otherwise only look late.
 *
 * @param expected The start of a fingerprint; undefined: whatever it carries.
 * @throws {HeadgateError} `config-invalid`
 */
export function expectBundle(head: Head, expected: string | undefined): void {
  if (expected === undefined || head.history.startsWith(expected)) return;
  throw new HeadgateError(
    `Cannot run with this bundle: it is ${shortOf(head)} (head ${head.version}), and the manifest was written for ${expected.slice(0, SHOWN)}`,
    {
      code: "config-invalid",
      hint: 'Job and pods must run one image: compare "headgate version" of both, or print the manifest again with the image that is to run',
    },
  );
}
