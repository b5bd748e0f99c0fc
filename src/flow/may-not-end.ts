/** For a session of another role: what this role needs to see it and to end it. */
import { INSUFFICIENT_PRIVILEGE } from "../core/db-error.ts";
import { HeadgateError } from "../core/error.ts";
import type { Lock } from "../core/locks.ts";

/** The error with the statement that cures it. */
export function mayNotEnd({ pid }: Lock, cause?: unknown): HeadgateError {
  return new HeadgateError(
    `Cannot end pid ${pid}: the session is another role's (SQLSTATE ${INSUFFICIENT_PRIVILEGE})`,
    {
      code: "privilege-missing",
      hint: "As a superuser: grant pg_signal_backend, pg_read_all_stats to this role; a superuser's session only a superuser may end",
      cause,
    },
  );
}
