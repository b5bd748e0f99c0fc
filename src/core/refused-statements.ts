/**
 * Names the statements that a migration may not hold, at token level and before anything runs: those that would end
 * the transaction which is the lock, those that leave state on a session which a pooler gives to the next client,
 * and those that only psql can run.
 */

import { sessionConfigCalls } from "./set-config-calls.ts";
import type { Token } from "./sql-lexer.ts";
import {
  isRoutineDefinition,
  leadingWords,
  parenthesisStep,
  splitStatements,
  symbolOf,
  upperWord,
} from "./sql-statements.ts";

/** A statement or call that is refused. */
export interface Refusal {
  /** Of the first token of the statement or call, in UTF-16 code units. */
  readonly offset: number;
  /** As a person would name it: `COMMIT`, `SET SESSION`, `\connect`. */
  readonly what: string;
  /** Why it is refused, and what to write instead: phrases without a capital or a final period. */
  readonly why: string;
  readonly instead: string;
}

type Text = Pick<Refusal, "why" | "instead">;

const TRANSACTION: Text = {
  why: "the whole migration runs in one transaction, which is also its lock",
  instead: "leave it out, or use SAVEPOINT and ROLLBACK TO",
};
const ISOLATION: Text = {
  why: "the transaction is headgate's own, and its mode is part of the lock",
  instead: "leave it out",
};
const SETTING: Text = {
  why: "it outlives the migration and reaches other clients through a pooler",
  instead: "use SET LOCAL",
};
const SESSION: Text = {
  why: "it changes session state that other clients of a pooler share",
  instead: "leave it out, or do it in the application",
};
const SET_CONFIG: Text = {
  why: SETTING.why,
  instead: "give true as the third argument",
};
const COPY_STREAM: Text = {
  why: "no client is there to send or to read the rows",
  instead: "use INSERT … VALUES or INSERT … SELECT",
};
const META_COMMAND: Text = {
  why: "it is a psql command, which the server does not know",
  instead: "leave it out, or write it in SQL",
};

/** Leading words of refused statements; the first match counts, so the longer ones stand first. */
const REFUSED: readonly (readonly [lead: string, text: Text])[] = [
  ["START TRANSACTION", TRANSACTION],
  ["PREPARE TRANSACTION", TRANSACTION],
  ["COMMIT PREPARED", TRANSACTION],
  ["ROLLBACK PREPARED", TRANSACTION],
  ["BEGIN", TRANSACTION],
  ["COMMIT", TRANSACTION],
  ["END", TRANSACTION],
  ["ROLLBACK", TRANSACTION],
  ["ABORT", TRANSACTION],
  ["SET LOCAL TRANSACTION", ISOLATION],
  ["SET TRANSACTION", ISOLATION],
  ["SET SESSION", SETTING],
  ["SET", SETTING],
  ["RESET", SETTING],
  ["DISCARD", SESSION],
  ["LISTEN", SESSION],
];
const ALLOWED_ROLLBACK = /^ROLLBACK (?:WORK |TRANSACTION )?TO(?: |$)/;
const ALLOWED_SET = /^SET (?:LOCAL|CONSTRAINTS)(?: (?!TO |TO$|TRANSACTION )|$)/;
const WORDS_MAX = 4;

/**
 * Gives every refused statement and call of `sql`, ascending by offset. Nothing inside strings, dollar quotes,
 * comments or quoted identifiers is looked at, and nothing inside the body of a function.
 *
 * @example
 * ```ts
 * refusedStatements("create table a (); commit;").map((refusal) => refusal.what); // ["COMMIT"]
 * ```
 */
export function refusedStatements(sql: string): readonly Refusal[] {
  return splitStatements(sql).flatMap((statement) => [...refusedIn(sql, statement.tokens)]);
}

/** The refusals of one statement. A psql command ends with its line, and a statement may follow it. */
function* refusedIn(sql: string, tokens: readonly Token[]): Generator<Refusal> {
  let from = 0;
  for (const [index, token] of tokens.entries()) {
    if (index < from || symbolOf(sql, token) !== "\\") continue;
    yield* refusedInSql(sql, tokens.slice(from, index));
    yield* metaCommand(sql, token, tokens[index + 1]);
    from = indexAfterLine(sql, tokens, index);
  }
  yield* refusedInSql(sql, from === 0 ? tokens : tokens.slice(from));
}

function* refusedInSql(sql: string, tokens: readonly Token[]): Generator<Refusal> {
  const [first] = tokens;
  if (first === undefined) return;
  const words = leadingWords(sql, tokens);
  const lead = refusedLead(sql, tokens, words);
  if (lead !== undefined) yield { offset: first.start, what: lead[0], ...lead[1] };
  const copy = words[0] === "COPY" ? copyStream(sql, tokens) : undefined;
  if (copy !== undefined) yield { offset: first.start, what: copy, ...COPY_STREAM };
  if (isRoutineDefinition(words)) return;
  for (const call of sessionConfigCalls(sql, tokens)) {
    yield { offset: call.start, what: "set_config(…, false)", ...SET_CONFIG };
  }
}

function refusedLead(
  sql: string,
  tokens: readonly Token[],
  words: readonly string[],
): readonly [lead: string, text: Text] | undefined {
  const lead = words.slice(0, WORDS_MAX).join(" ");
  if (ALLOWED_ROLLBACK.test(lead)) return undefined;
  if (ALLOWED_SET.test(lead) && !isSettingName(sql, tokens[2])) return undefined;
  return REFUSED.find(([refused]) => lead === refused || lead.startsWith(`${refused} `));
}

/** In `set local.x = 1` and `set local = 1` LOCAL is the setting's name: what follows it tells. */
function isSettingName(sql: string, third: Token | undefined): boolean {
  return symbolOf(sql, third) === "." || symbolOf(sql, third) === "=";
}

/** What a COPY streams from or to the client, undefined when it uses a file or a program. */
function copyStream(sql: string, tokens: readonly Token[]): string | undefined {
  let depth = 0;
  for (const [index, token] of tokens.entries()) {
    depth += parenthesisStep(symbolOf(sql, token));
    const stream =
      depth === 0 ? streamOf(upperWord(sql, token), sql, tokens[index + 1]) : undefined;
    if (stream !== undefined) return stream;
  }
  return undefined;
}

/** The server takes STDIN and STDOUT for each other: `copy t from stdout` reads from the client too. */
function streamOf(direction: string, sql: string, next: Token | undefined): string | undefined {
  const target = upperWord(sql, next);
  if (target !== "STDIN" && target !== "STDOUT") return undefined;
  if (direction === "FROM") return "COPY FROM STDIN";
  return direction === "TO" ? "COPY TO STDOUT" : undefined;
}

/** `\.` is the end of COPY's rows; the COPY before it is reported, so this one is not. */
function* metaCommand(sql: string, slash: Token, next: Token | undefined): Generator<Refusal> {
  const isAdjacent = next !== undefined && next.start === slash.end;
  const name = isAdjacent ? sql.slice(next.start, next.end) : "";
  if (name !== ".") yield { offset: slash.start, what: `\\${name}`, ...META_COMMAND };
}

function indexAfterLine(sql: string, tokens: readonly Token[], index: number): number {
  const newline = sql.indexOf("\n", tokens[index]?.start);
  if (newline < 0) return tokens.length;
  let next = index + 1;
  for (
    let token = tokens[next];
    token !== undefined && token.start < newline;
    token = tokens[next]
  ) {
    next += 1;
  }
  return next;
}
