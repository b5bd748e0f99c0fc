/** Whether two CREATE INDEX statements ask for the same index, as far as their text can tell. */
import { isSignificant, tokenize } from "./sql-lexer.ts";
import { symbolOf, upperWord } from "./sql-statements.ts";

const DEFAULT_METHOD = "USING BTREE ";

/**
 * Compares what stands behind the table's name: method, columns, and all that follows. True says
 * that they are the same; false may only mean that they are written differently.
 *
 * @example
 * ```ts
 * isSameIndexBody("create index i on t (C);", "CREATE INDEX i ON public.t USING btree (c)"); // true
 * ```
 */
export function isSameIndexBody(one: string, other: string): boolean {
  const body = bodyOf(one);
  return body !== "" && body === bodyOf(other);
}

/** Tokens, folded as the server folds them; "" when there is no `on table`. */
function bodyOf(sql: string): string {
  const tokens = tokenize(sql).filter(isSignificant);
  const on = tokens.findIndex((token) => upperWord(sql, token) === "ON");
  if (on < 0) return "";
  let at = on + (upperWord(sql, tokens[on + 1]) === "ONLY" ? 3 : 2);
  while (symbolOf(sql, tokens[at]) === ".") at += 2;
  const body = tokens
    .slice(at)
    .filter((token) => symbolOf(sql, token) !== ";")
    .map((token) => (token.kind === "word" ? upperWord(sql, token) : textOf(sql, token)))
    .join(" ");
  return body.startsWith(DEFAULT_METHOD) ? body.slice(DEFAULT_METHOD.length) : body;
}

/** The server quotes a name only where it must. */
function textOf(
  sql: string,
  { start, end }: { readonly start: number; readonly end: number },
): string {
  const text = sql.slice(start, end);
  const [, plain] = /^"([a-z_][a-z0-9_]*)"$/.exec(text) ?? [];
  return plain === undefined ? text : plain.toUpperCase();
}
