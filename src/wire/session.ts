/**
 * A session on the runtime's own port, for questions. It loads a tenth of the code of the general
 * client, and behaves as that one does: one socket in its life, a deadline on every call, and the
 * same errors. Protocol sections "Simple Query" and "Extended Query".
 */
import { DbError } from "../core/db-error.ts";
import { tagComment } from "../core/run-tag.ts";
import type { Target } from "../core/target.ts";
import type { Connection, Result, Row, WirePort } from "../ports.ts";
import type { Channel } from "./channel.ts";
import { logIn } from "./login.ts";
import { bound, query, terminate } from "./messages.ts";
import { openChannel } from "./open-channel.ts";
import { Fields, type Message, serverErrorOf } from "./reader.ts";
import { type Column, readColumns, readRow } from "./values.ts";

/** Whom to connect to, and in whose name. */
export interface WireOptions {
  readonly target: Target;
  readonly applicationName: string;
  /** Stands in a comment before every statement. */
  readonly tag?: string;
  readonly connectTimeoutMs: number;
  readonly onNotice?: (message: string) => void;
}

/** As the general client's. */
const QUESTION_DEADLINE_MS = 20_000;
const UNBOUNDED = 0;

interface Session {
  readonly port: WirePort;
  readonly options: WireOptions;
  channel: Promise<Channel> | undefined;
  loginPid: number | undefined;
  error: Error | undefined;
  destroy: (error: Error) => void;
}

/** Nothing is sent before the first call, which also connects. */
export function openSession(port: WirePort, options: WireOptions): Connection {
  const session: Session = {
    port,
    options,
    channel: undefined,
    loginPid: undefined,
    error: undefined,
    destroy: () => undefined,
  };
  const prefix = options.tag === undefined ? "" : `${tagComment(options.tag)} `;
  const call = (ask: Uint8Array, deadlineMs: number): Promise<Result> =>
    withDeadline(session, deadlineMs, () => exchange(session, ask, prefix.length));
  return {
    run: (text, deadlineMs = QUESTION_DEADLINE_MS) => call(query(prefix + text), deadlineMs),
    bind: (text, values, deadlineMs = QUESTION_DEADLINE_MS) =>
      call(bound(prefix + text, values), deadlineMs),
    close: async () => {
      if (session.error) return;
      session.error = new DbError("lost", "connection closed by us");
      const channel = await session.channel?.catch(() => undefined);
      channel?.write(terminate());
      channel?.end();
    },
    destroy: (error) => end(session, error),
    // A question leaves nothing to roll back.
    stop: (error) => end(session, error),
  };
}

function end(session: Session, error: Error): void {
  session.error ??= error;
  session.destroy(session.error);
}

/** A late answer must never be taken for the next question's, so the socket goes with the deadline. */
async function withDeadline(
  session: Session,
  deadlineMs: number,
  ask: () => Promise<Result>,
): Promise<Result> {
  if (session.error) throw session.error;
  const passed = Promise.withResolvers<never>();
  passed.promise.catch(() => undefined);
  session.destroy = passed.reject;
  const late = (): void =>
    end(session, new DbError("deadline", `no answer within ${deadlineMs} ms`));
  const timer = deadlineMs === UNBOUNDED ? undefined : setTimeout(late, deadlineMs);
  try {
    return await Promise.race([ask(), passed.promise]);
  } catch (error) {
    if (!(error instanceof DbError) || error.kind !== "server" || isFatal(error)) {
      session.error ??= error as Error;
      session.channel?.then((channel) => channel.fail(error as Error)).catch(() => undefined);
    }
    throw session.error ?? error;
  } finally {
    clearTimeout(timer);
  }
}

function isFatal(error: DbError): boolean {
  return error.server?.severity === "FATAL" || error.server?.severity === "PANIC";
}

async function exchange(session: Session, ask: Uint8Array, prefixLength: number): Promise<Result> {
  session.channel ??= open(session);
  const channel = await session.channel;
  channel.write(ask);
  const answer: Answer = { rows: [], columns: [], tag: "", error: undefined };
  for (;;) {
    const message = await channel.next();
    if (message.type === "Z") break;
    take(session, answer, message, prefixLength);
  }
  if (answer.error) throw answer.error;
  return { rows: answer.rows, tag: answer.tag, loginPid: session.loginPid };
}

async function open(session: Session): Promise<Channel> {
  const { port, options } = session;
  const { target, applicationName, connectTimeoutMs, onNotice = () => undefined } = options;
  const channel = await openChannel(port, target, connectTimeoutMs);
  const late = new DbError("connect", `no login within ${connectTimeoutMs} ms`);
  const timer = setTimeout(() => channel.fail(late), connectTimeoutMs);
  try {
    const wish = { target, applicationName, onNotice, digests: port };
    session.loginPid = await logIn(channel, wish);
    return channel;
  } catch (error) {
    channel.fail(error as Error);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

interface Answer {
  rows: Row[];
  columns: readonly Column[];
  tag: string;
  error: DbError | undefined;
}

/** The last row-returning statement's rows stay, and the last statement's tag. */
function take(session: Session, answer: Answer, message: Message, prefixLength: number): void {
  switch (message.type) {
    case "T":
      answer.columns = readColumns(new Fields(message.body));
      answer.rows = [];
      return;
    case "D":
      answer.rows.push(readRow(new Fields(message.body), answer.columns));
      return;
    case "C":
      answer.tag = new Fields(message.body).text().split(" ")[0] ?? "";
      return;
    case "E":
      answer.error = errorOf(message, prefixLength);
      if (isFatal(answer.error)) throw answer.error;
      return;
    case "N":
      session.options.onNotice?.(serverErrorOf(message.body).message);
      return;
    default:
  }
}

/** What ends the session is the connection's end, whatever the server calls it. */
function errorOf({ body }: Message, prefixLength: number): DbError {
  const { message, server } = serverErrorOf(body);
  const isEnd = server.severity === "FATAL" || server.severity === "PANIC";
  const position = (server.position ?? 0) - prefixLength;
  return new DbError(isEnd ? "lost" : "server", message, {
    server: { ...server, position: position > 0 ? position : undefined },
  });
}
