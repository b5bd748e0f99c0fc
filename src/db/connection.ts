/**
 * One session on one socket, and when that socket is gone, nothing. Five facts force this shape;
 * `test/integration/connection.test.ts` shows them:
 *
 * (1) The driver reconnects by itself: the next statement would run in a session without our
 *     transaction. So the socket factory refuses a second use. And it forgets a statement that reaches
 *     it while the socket closes. So every call ends with the socket.
 * (2) `begin` and `reserve` of the driver run statements of a dead transaction inside the next one,
 *     and crash Node and Deno when the connection goes. So BEGIN and COMMIT are plain statements.
 * (3) The extended protocol leaves a portal open and keeps backend_xmin set while "idle in
 *     transaction". So `run` is the simple protocol; `bind`, for statements with values, is not.
 * (4) A peer that is silent is noticed only by us. So every call has a deadline, which destroys the
 *     socket: a late answer must never be taken for the next question's.
 * (5) A pooler refuses start-up parameters. So application_name is the only one that is sent.
 */
import { DbError } from "../core/db-error.ts";
import { tagComment } from "../core/run-tag.ts";
import type { Target } from "../core/target.ts";
import type { Connection, Result, Row, Value } from "../ports.ts";
import { createDeadlines } from "./deadlines.ts";
import { endLife, type Life, newLife, openDriver } from "./driver.ts";
import { toDbError } from "./driver-error.ts";
import { leave } from "./leave.ts";

/** Whom to connect to, and in whose name. */
export interface ConnectionOptions {
  readonly target: Target;
  readonly applicationName: string;
  /** Stands in a comment before every statement, so that pg_stat_activity names the runner. */
  readonly tag?: string;
  readonly connectTimeoutMs: number;
  readonly onNotice?: (message: string) => void;
}

/** Of the driver, but not in its types: a statement without arguments is else a simple one. */
const EXTENDED: object = { simple: false };
/** Bounds a question to a pooler whose pool is exhausted by others. */
const QUESTION_DEADLINE_MS = 20_000;
const GOODBYE_S = 1;

/** Nothing is sent before the first call, which also connects. */
export function openConnection(options: ConnectionOptions): Connection {
  const life = newLife();
  const sql = openDriver(options, life);
  const prefix = options.tag === undefined ? "" : `${tagComment(options.tag)} `;
  const unanswered = new Set<Promise<unknown>>();
  let leaving: Promise<void> | undefined;
  const deadlines = createDeadlines((deadlineMs) =>
    endLife(life, new DbError("deadline", `no answer within ${deadlineMs} ms`)),
  );

  const call = async (ask: () => Promise<Result>, deadlineMs: number): Promise<Result> => {
    if (life.error) throw life.error;
    const answer = ask();
    unanswered.add(answer);
    deadlines.asked(deadlineMs);
    try {
      return await orGone(life, answer);
    } catch (error) {
      throw life.error ?? toDbError(error, prefix.length);
    } finally {
      unanswered.delete(answer);
      deadlines.answered();
    }
  };
  return {
    run: (text, deadlineMs = QUESTION_DEADLINE_MS) =>
      call(async () => toResult(await sql.unsafe(prefix + text).simple()), deadlineMs),
    bind: (text, values, deadlineMs = QUESTION_DEADLINE_MS) =>
      call(
        async () => toResult(await bound(sql.unsafe(prefix + text, [], EXTENDED), values)),
        deadlineMs,
      ),
    close: async () => {
      if (leaving !== undefined) return leaving;
      const isOpen = life.error === undefined;
      life.error ??= new DbError("lost", "connection closed by us");
      if (isOpen) await sql.end({ timeout: GOODBYE_S });
    },
    destroy: (error) => {
      if (leaving === undefined) endLife(life, error);
    },
    stop: (error) => {
      if (life.error) return;
      life.error = error;
      leaving = leave(life, sql, unanswered);
    },
  };
}

/** As the driver answers it, or with the socket. */
function orGone<T>(life: Life, answer: Promise<T>): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  life.waiting.add(reject);
  const settle = (): void => void life.waiting.delete(reject);
  answer.then(resolve, reject).then(settle, settle);
  return promise;
}

/**
 * Values given as the query's arguments are sent only after the server was asked for their types: one
 * more round trip, and nothing could be sent behind it. As its parameters they go along as text, for
 * the casts in the statement. A driver that ignores them leaves `$1` without a value, an error.
 */
function bound(query: Promise<unknown>, values: readonly Value[]): Promise<unknown> {
  return Object.assign(query, { parameters: [...values] });
}

/** The driver gives one result, or a list when several statements returned rows. */
function toResult(raw: unknown): Result {
  const results = raw as readonly DriverResult[] | DriverResult;
  const last = Array.isArray(results[0]) ? (results as readonly DriverResult[]).at(-1) : results;
  const result = last as DriverResult;
  const loginPid = result.state?.pid ?? undefined;
  return { rows: [...result], tag: result.command ?? "", loginPid };
}

type DriverResult = readonly Row[] & {
  readonly command: string | null;
  readonly state?: { readonly pid: number | null };
};
