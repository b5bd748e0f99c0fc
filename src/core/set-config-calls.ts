/** Finds calls of `set_config` that change a setting for the whole session. */

import type { Token } from "./sql-lexer.ts";
import { parenthesisStep, symbolOf } from "./sql-statements.ts";

/** The spellings of false that PostgreSQL reads from a string: every unique prefix, in any case. */
const FALSE_STRING = /^[en]?'\s*(?:f|fa|fal|fals|false|n|no|of|off|0)\s*'$/i;
const IS_LOCAL_INDEX = 2;
/** More of an argument is never looked at: a longer one is an expression. */
const JUDGED_TOKENS_MAX = 16;
/** No name that is looked for is longer. */
const NAME_LENGTH_MAX = "set_config".length;

/**
 * Gives the first token of every `set_config(…, false)` among a statement's significant tokens: the name, or the
 * `pg_catalog` in front of it. A third argument that is not a literal is not judged, and neither is a function of
 * the same name in another schema.
 */
export function sessionConfigCalls(sql: string, tokens: readonly Token[]): readonly Token[] {
  const calls = tokens.flatMap((token, index) => {
    const isCall = nameOf(sql, token) === "set_config" && symbolOf(sql, tokens[index + 1]) === "(";
    const first = isCall ? firstToken(sql, tokens, index) : undefined;
    return first === undefined ? [] : [{ first, from: index + 2 }];
  });
  if (calls.length === 0) return [];
  const closings = closingIndexes(sql, tokens);
  return calls
    .filter(({ from }) => isSessionCall(sql, argumentsFrom(sql, tokens, { from, closings })))
    .map(({ first }) => first);
}

/**
 * Index of the `)` of every `(`, the end of the list for an open one. With it a walk jumps over nested calls, which
 * keeps deep nesting linear.
 */
function closingIndexes(sql: string, tokens: readonly Token[]): ReadonlyMap<number, number> {
  const closings = new Map<number, number>();
  const open: number[] = [];
  for (const [index, token] of tokens.entries()) {
    const step = parenthesisStep(symbolOf(sql, token));
    if (step === 1) open.push(index);
    const opening = step === -1 ? open.pop() : undefined;
    if (opening !== undefined) closings.set(opening, index);
  }
  for (const opening of open) closings.set(opening, tokens.length);
  return closings;
}

/** A name as the server folds it: unquoted to lower case. "" for a token that is no name, or a longer one. */
function nameOf(sql: string, token: Token | undefined): string {
  if (token === undefined) return "";
  const text = sql.slice(token.start, token.end);
  if (token.kind === "word") return text.length > NAME_LENGTH_MAX ? "" : text.toLowerCase();
  return token.kind === "quoted-identifier" ? text.slice(1, -1) : "";
}

function firstToken(sql: string, tokens: readonly Token[], index: number): Token | undefined {
  if (symbolOf(sql, tokens[index - 1]) !== ".") return tokens[index];
  const schema = tokens[index - 2];
  return nameOf(sql, schema) === "pg_catalog" ? schema : undefined;
}

/** The arguments of a call whose `(` stands just before `from`, each as its first tokens. */
function argumentsFrom(
  sql: string,
  tokens: readonly Token[],
  call: { readonly from: number; readonly closings: ReadonlyMap<number, number> },
): readonly (readonly Token[])[] {
  const end = call.closings.get(call.from - 1) ?? tokens.length;
  const list: (readonly Token[])[] = [];
  let start = call.from;
  for (let index = call.from; index < end; index += 1) {
    if (symbolOf(sql, tokens[index]) === ",") {
      list.push(tokens.slice(start, Math.min(index, start + JUDGED_TOKENS_MAX)));
      start = index + 1;
    }
    index = call.closings.get(index) ?? index;
  }
  return [...list, tokens.slice(start, Math.min(end, start + JUDGED_TOKENS_MAX))];
}

/** By place only: the server's function has no names for its arguments, so `is_local => false` is an error. */
function isSessionCall(sql: string, list: readonly (readonly Token[])[]): boolean {
  return isFalse(sql, list[IS_LOCAL_INDEX] ?? []);
}

/** A literal false, also in parentheses or with a cast behind it. */
function isFalse(sql: string, argument: readonly Token[]): boolean {
  const [value, ...rest] = argument.filter((token) => !isParenthesis(sql, token));
  if (value === undefined || (rest.length > 0 && symbolOf(sql, rest[0]) !== ":")) return false;
  if (nameOf(sql, value) === "false") return true;
  return value.kind === "string" && FALSE_STRING.test(sql.slice(value.start, value.end));
}

function isParenthesis(sql: string, token: Token): boolean {
  return parenthesisStep(symbolOf(sql, token)) !== 0;
}
