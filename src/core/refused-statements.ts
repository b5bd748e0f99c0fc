/**
 * Names the statements that a migration may not hold, at token level and before anything runs: those that would end
 * the transaction which is the lock, those that leave state on a session which a pooler gives to the next client,
 * and those that only psql can run.
 */

import { sessionConfigCalls } from "./set-config-calls.ts";
import type { Token } from "./sql-lexer.ts";
import {
  isPsqlCommand,
  isRoutineDefinition,
  parenthesisStep,
  type Statement,
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
 * @param statements Those of `sql`, when they are at hand.
 *
 * @example
 * ```ts
 * refusedStatements("create table a (); commit;").map((refusal) => refusal.what); // ["COMMIT"]
 * ```
 */
export function refusedStatements(
  sql: string,
  statements: readonly Statement[] = splitStatements(sql),
): readonly Refusal[] {
  return statements.flatMap((statement) =>
    isPsqlCommand(sql, statement) ? psqlCommand(sql, statement) : refusedIn(sql, statement),
  );
}

function refusedIn(sql: string, { start, tokens, words }: Statement): readonly Refusal[] {
  const lead = refusedLead(sql, tokens, words);
  const stream = words[0] === "COPY" ? copyStream(sql, tokens) : undefined;
  const calls = isRoutineDefinition(words) ? [] : sessionConfigCalls(sql, tokens);
  return [
    ...(lead === undefined ? [] : [{ offset: start, what: lead[0], ...lead[1] }]),
    ...(stream === undefined ? [] : [{ offset: start, what: stream, ...COPY_STREAM }]),
    ...calls.map((call) => ({ offset: call.start, what: "set_config(…, false)", ...SET_CONFIG })),
  ];
}

/** `\.` is the end of COPY's rows; the COPY before it is reported, so this one is not. */
function psqlCommand(sql: string, { start, tokens }: Statement): readonly Refusal[] {
  const [backslash, next] = tokens;
  const isAdjacent = next !== undefined && next.start === backslash?.end;
  const name = isAdjacent ? sql.slice(next.start, next.end) : "";
  return name === "." ? [] : [{ offset: start, what: `\\${name}`, ...META_COMMAND }];
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
