/** Sessions that are in the way of a lock, for the person who reads the log. Never decides anything. */

/** What the server hides from this role is null. */
export interface Blocker {
  /** Null: a prepared transaction, which has no process. */
  readonly pid: number | null;
  readonly gid: string | null;
  readonly user: string | null;
  readonly state: string | null;
  /** The beginning of its last statement, on one line. */
  readonly query: string | null;
  /** Since its transaction began. */
  readonly ageMs: number | null;
  /** Its strongest lock; null where it is its transaction that is waited for. */
  readonly mode: string | null;
  readonly relation: string | null;
}

/** Fields of an event. */
export type BlockerFields = Readonly<Record<string, string | number | null>>;

/** As PostgreSQL shows another role's statement to who may not see it. */
const HIDDEN = "<insufficient privilege>";

/**
 * One sentence about each.
 *
 * @example
 * ```ts
 * describeBlocker({ pid: 7, gid: null, user: "dump", state: "active", query: "COPY t TO stdout",
 *   ageMs: 60_000, mode: "AccessShareLock", relation: "t" });
 * // 'pid 7 holds AccessShareLock on t, in a transaction of 60000 ms (role dump, active: "COPY t TO stdout")'
 * ```
 */
export function describeBlocker(blocker: Blocker): string {
  const { pid, gid, mode, relation, ageMs } = blocker;
  const who = pid === null ? `prepared transaction ${gid ?? "of unknown name"}` : `pid ${pid}`;
  const what =
    mode === null || relation === null ? "is in the way" : `holds ${mode} on ${relation}`;
  const age = ageMs === null ? "" : `, in a transaction of ${ageMs} ms`;
  return `${who} ${what}${age}${sessionOf(blocker)}`;
}

function sessionOf({ pid, user, state, query }: Blocker): string {
  const isHidden = query === HIDDEN || (pid !== null && query === null);
  const doing = query === null || isHidden ? state : `${state ?? "its statement"}: "${query}"`;
  const parts = [
    user === null ? "" : `role ${user}`,
    isHidden ? "its statement is hidden from this role" : (doing ?? ""),
  ].filter((part) => part !== "");
  return parts.length === 0 ? "" : ` (${parts.join(", ")})`;
}

/** The first one, for machines; nothing when there is none. */
export function blockerFields([first]: readonly Blocker[]): BlockerFields {
  if (first === undefined) return {};
  return {
    blocker_pid: first.pid,
    blocker_gid: first.gid,
    blocker_user: first.user,
    blocker_state: first.state,
    blocker_query: first.query,
    blocker_age_ms: first.ageMs,
    blocker_lock: first.mode,
    blocker_relation: first.relation,
  };
}

const WORD = /[\p{L}_][\p{L}\p{N}_$]*|"(?:[^"]|"")+"/gu;

/**
 * Every word of a text that may be the name of a relation, each once: also those in comments, strings
 * and function bodies.
 *
 * @example
 * ```ts
 * namesIn('ALTER TABLE s."My ""T""" ADD c int'); // ["alter", "table", "s", 'My "T"', "add", "c", "int"]
 * ```
 */
export function namesIn(sql: string): readonly string[] {
  const names = (sql.match(WORD) ?? []).map((word) =>
    word.startsWith('"') ? word.slice(1, -1).replaceAll('""', '"') : word.toLowerCase(),
  );
  return [...new Set(names)];
}
