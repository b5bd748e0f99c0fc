/**
 * Cuts SQL text into statements at token level. A statement ends at a `;` outside parentheses (CREATE RULE has
 * them inside) and outside the BEGIN ATOMIC … END body of CREATE FUNCTION and CREATE PROCEDURE. A psql command
 * (`\connect a`) is a statement of its own and ends with its line: the server knows none, but what follows it is
 * still read right.
 */

import { isSignificant, type Token, tokenize } from "./sql-lexer.ts";

/**
 * One statement. `sql.slice(start, end)` begins at its first significant token and includes its `;`, when it has
 * one. The gaps between statements hold only space, comments and lone `;`.
 */
export interface Statement {
  readonly start: number;
  readonly end: number;
  /** Significant tokens, 1..n, without the closing `;`. */
  readonly tokens: readonly Token[];
  /** Its leading words in upper case, up to the first token that is not a word: `["SET", "LOCAL", "ROLE"]`. */
  readonly words: readonly string[];
}

const BACKSLASH = "\\";
const ROUTINE = /^CREATE (?:OR REPLACE )?(?:FUNCTION|PROCEDURE)(?: |$)/;
const ROUTINE_WORDS_MAX = 5;

/**
 * Gives the statements of `sql` in order, without the empty ones.
 *
 * @example
 * ```ts
 * splitStatements("select 1; -- done\nselect ';'").length; // 2
 * ```
 */
export function splitStatements(sql: string): readonly Statement[] {
  const tokens = tokenize(sql).filter(isSignificant);
  const statements: Statement[] = [];
  for (let from = 0; from < tokens.length; ) {
    const to = endIndex(sql, tokens, from);
    const semicolon = symbolOf(sql, tokens[to]) === ";" ? tokens[to] : undefined;
    const inside = tokens.slice(from, to);
    const [first] = inside;
    const last = semicolon ?? inside.at(-1);
    if (first !== undefined && last !== undefined) {
      const words = leadingWords(sql, inside);
      statements.push({ start: first.start, end: last.end, tokens: inside, words });
    }
    from = semicolon === undefined ? to : to + 1;
  }
  return statements;
}

/** True for a psql command: no SQL statement begins with a backslash. */
export function isPsqlCommand(sql: string, statement: Statement): boolean {
  return sql[statement.start] === BACKSLASH;
}

/** True for CREATE [OR REPLACE] FUNCTION | PROCEDURE: its body is a definition and does not run now. */
export function isRoutineDefinition(words: readonly string[]): boolean {
  return ROUTINE.test(words.slice(0, ROUTINE_WORDS_MAX).join(" "));
}

/** The words at the front of a list of significant tokens, in upper case. */
export function leadingWords(sql: string, tokens: readonly Token[]): readonly string[] {
  const end = tokens.findIndex((token) => token.kind !== "word");
  return tokens.slice(0, end < 0 ? tokens.length : end).map((token) => upperWord(sql, token));
}

/**
 * The text of a word in upper case, "" for any other token. ASCII only, as the server folds keywords:
 * `toUpperCase` would make a COMMIT of `commıt`.
 */
export function upperWord(sql: string, token: Token | undefined): string {
  if (token?.kind !== "word") return "";
  return sql.slice(token.start, token.end).replace(/[a-z]+/g, (part) => part.toUpperCase());
}

/** The character of a symbol, "" for any other token. */
export function symbolOf(sql: string, token: Token | undefined): string {
  return token?.kind === "symbol" ? sql.charAt(token.start) : "";
}

/** Change of the parenthesis depth that a token makes. */
export function parenthesisStep(symbol: string): -1 | 0 | 1 {
  if (symbol === "(") return 1;
  return symbol === ")" ? -1 : 0;
}

/** Index of the first token behind the statement that begins at `from`: its `;`, a psql command, or the end. */
function endIndex(sql: string, tokens: readonly Token[], from: number): number {
  if (symbolOf(sql, tokens[from]) === BACKSLASH) return indexAfterLine(sql, tokens, from);
  const head = leadingWords(sql, tokens.slice(from, from + ROUTINE_WORDS_MAX));
  const isRoutine = isRoutineDefinition(head);
  let parentheses = 0;
  let blocks = 0;
  for (let index = from; index < tokens.length; index += 1) {
    const symbol = symbolOf(sql, tokens[index]);
    if (symbol === BACKSLASH || (symbol === ";" && parentheses + blocks === 0)) return index;
    parentheses = Math.max(0, parentheses + parenthesisStep(symbol));
    if (isRoutine && parentheses === 0) {
      blocks = Math.max(0, blocks + blockStep(sql, tokens, { index, blocks }));
    }
  }
  return tokens.length;
}

function indexAfterLine(sql: string, tokens: readonly Token[], from: number): number {
  const newline = sql.indexOf("\n", tokens[from]?.start);
  const lineEnd = newline < 0 ? sql.length : newline;
  let next = from + 1;
  while ((tokens[next]?.start ?? lineEnd) < lineEnd) next += 1;
  return next;
}

/** Change of the block depth: BEGIN ATOMIC opens the body, CASE opens a block inside it, END closes one. */
function blockStep(
  sql: string,
  tokens: readonly Token[],
  at: { readonly index: number; readonly blocks: number },
): -1 | 0 | 1 {
  const word = upperWord(sql, tokens[at.index]);
  if (at.blocks === 0) {
    return word === "BEGIN" && upperWord(sql, tokens[at.index + 1]) === "ATOMIC" ? 1 : 0;
  }
  if (word !== "CASE" && word !== "END") return 0;
  if (isLabel(sql, tokens[at.index - 1])) return 0;
  return word === "CASE" ? 1 : -1;
}

/** After AS or a dot even a reserved word is a name: `select 1 as end`, `t.case`. */
function isLabel(sql: string, before: Token | undefined): boolean {
  return upperWord(sql, before) === "AS" || symbolOf(sql, before) === ".";
}
