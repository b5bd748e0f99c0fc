/**
 * Cuts SQL text into tokens the way PostgreSQL's own scanner does, so that a word inside a string, a comment, a
 * quoted identifier or a dollar-quoted body is never mistaken for a statement.
 *
 * (1) Every character belongs to exactly one token: joining the slices gives the input back.
 * (2) Nothing throws. A construct without its end runs to the end of the input and keeps its kind.
 * (3) Linear time: patterns are sticky or jump to the next edge; no pattern repeats a group.
 * (4) `standard_conforming_strings` is taken to be on, as it is by default since PostgreSQL 9.1.
 */

/** What a piece of SQL text is. */
export type TokenKind =
  | "space"
  | "line-comment"
  | "block-comment"
  /** `'…'` with any prefix, and its continuation on following lines (`'a'` newline `'b'` is one string). */
  | "string"
  | "dollar-string"
  | "quoted-identifier"
  /** `$1`. */
  | "param"
  | "number"
  /** A keyword or an unquoted identifier. */
  | "word"
  /** One character of an operator or of punctuation. */
  | "symbol";

/** A piece of the text: `sql.slice(start, end)`, never empty, in UTF-16 code units. */
export interface Token {
  readonly kind: TokenKind;
  readonly start: number;
  readonly end: number;
}

type Reader = (sql: string, start: number) => Token;

const SPACES = " \t\n\r\f\v";
const LETTERS = "abcdefghijklmnopqrstuvwxyz";

const SPACE = /[ \t\n\r\f\v]+/y;
const LINE_COMMENT = /--[^\n\r]*/y;
const COMMENT_EDGE = /\/\*|\*\//g;
/** As in PostgreSQL, every character outside ASCII is a letter, whatever Unicode says of it. */
const WORD = /[A-Za-z_\u0080-\uffff][A-Za-z_\u0080-\uffff0-9$]*/y;
const NUMBER =
  /0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|(?:\d[\d_]*(?:\.(?!\.)[\d_]*)?|(?<!\.)\.\d[\d_]*)(?:[eE][+-]?\d[\d_]*)?/y;
const PARAM = /\$\d+/y;
const DOLLAR_TAG = /\$(?:[A-Za-z_\u0080-\uffff][A-Za-z_\u0080-\uffff0-9]*)?\$/y;
const STRING_OPENING = /(?:[bBeEnNxX]|[uU]&)?'/y;
const IDENTIFIER_OPENING = /(?:[uU]&)?"/y;
const ESCAPE_PREFIX = /[eE]'/y;
const SINGLE_QUOTE = /'/g;
const SINGLE_QUOTE_OR_BACKSLASH = /['\\]/g;
const DOUBLE_QUOTE = /"/g;
const REST_OF_LINE = /[ \t\f\v]*(?:--[^\n\r]*)?[\n\r]/y;
const SPACE_OR_COMMENT_LINE = /[ \t\n\r\f\v]+|--[^\n\r]*[\n\r]/y;

/** Reader by ASCII code of a token's first character; no entry: a symbol. Above ASCII: a word. */
const READERS: readonly (Reader | undefined)[] = readersByCode();

/**
 * Gives the tokens of `sql` in order, without a gap.
 *
 * @example
 * ```ts
 * tokenize("select 'a;b'").map((token) => token.kind); // word, space, string
 * ```
 */
export function tokenize(sql: string): readonly Token[] {
  const tokens: Token[] = [];
  let start = 0;
  while (start < sql.length) {
    const code = sql.charCodeAt(start);
    const read = code < 128 ? (READERS[code] ?? symbolAt) : wordAt;
    const token = read(sql, start);
    tokens.push(token);
    start = token.end;
  }
  return tokens;
}

/** True unless the token is space or a comment. */
export function isSignificant(token: Token): boolean {
  return token.kind !== "space" && token.kind !== "line-comment" && token.kind !== "block-comment";
}

function readersByCode(): readonly (Reader | undefined)[] {
  const readers: (Reader | undefined)[] = new Array(128).fill(undefined);
  const put = (characters: string, reader: Reader): void => {
    for (const character of characters) readers[character.charCodeAt(0)] = reader;
  };
  put(SPACES, spaceAt);
  put(`${LETTERS}${LETTERS.toUpperCase()}_`, wordAt);
  put("bBeEnNxXuU'\"", quotedAt);
  put("0123456789.", numberAt);
  put("$", dollarAt);
  put("-", dashAt);
  put("/", slashAt);
  return readers;
}

function symbolAt(_sql: string, start: number): Token {
  return { kind: "symbol", start, end: start + 1 };
}

function spaceAt(sql: string, start: number): Token {
  return { kind: "space", start, end: endOf(SPACE, sql, start) };
}

function wordAt(sql: string, start: number): Token {
  return { kind: "word", start, end: endOf(WORD, sql, start) };
}

function numberAt(sql: string, start: number): Token {
  const end = endOf(NUMBER, sql, start);
  return end > start ? { kind: "number", start, end } : symbolAt(sql, start);
}

function dashAt(sql: string, start: number): Token {
  const end = endOf(LINE_COMMENT, sql, start);
  return end > start ? { kind: "line-comment", start, end } : symbolAt(sql, start);
}

function slashAt(sql: string, start: number): Token {
  if (!sql.startsWith("/*", start)) return symbolAt(sql, start);
  return { kind: "block-comment", start, end: blockCommentEnd(sql, start) };
}

/** A quote, or a letter that is a string's prefix when a quote follows it directly. */
function quotedAt(sql: string, start: number): Token {
  const string = endOf(STRING_OPENING, sql, start);
  if (string > start) return { kind: "string", start, end: stringEnd(sql, start, string) };
  const identifier = endOf(IDENTIFIER_OPENING, sql, start);
  if (identifier === start) return wordAt(sql, start);
  return { kind: "quoted-identifier", start, end: closingEnd(sql, identifier, DOUBLE_QUOTE) };
}

/** A `$` inside a word never comes here: `a$b$c` is one word. */
function dollarAt(sql: string, start: number): Token {
  const body = endOf(DOLLAR_TAG, sql, start);
  if (body > start) {
    const tag = sql.slice(start, body);
    const closing = sql.indexOf(tag, body);
    return { kind: "dollar-string", start, end: closing < 0 ? sql.length : closing + tag.length };
  }
  const end = endOf(PARAM, sql, start);
  return end > start ? { kind: "param", start, end } : symbolAt(sql, start);
}

function blockCommentEnd(sql: string, start: number): number {
  let depth = 0;
  COMMENT_EDGE.lastIndex = start;
  for (let edge = COMMENT_EDGE.exec(sql); edge !== null; edge = COMMENT_EDGE.exec(sql)) {
    depth += edge[0] === "/*" ? 1 : -1;
    if (depth === 0) return COMMENT_EDGE.lastIndex;
  }
  return sql.length;
}

/** A continued string keeps the rules of its first part: in `E'a'` newline `'b\'c'` the backslash escapes. */
function stringEnd(sql: string, start: number, body: number): number {
  const escapes = endOf(ESCAPE_PREFIX, sql, start) > start;
  const edge = escapes ? SINGLE_QUOTE_OR_BACKSLASH : SINGLE_QUOTE;
  let end = closingEnd(sql, body, edge);
  for (let next = continuation(sql, end); next > end; next = continuation(sql, end)) {
    end = closingEnd(sql, next, edge);
  }
  return end;
}

/** End of a quoted text whose inside starts at `from`; doubled quotes and escaped characters are skipped. */
function closingEnd(sql: string, from: number, edge: RegExp): number {
  edge.lastIndex = from;
  for (let hit = edge.exec(sql); hit !== null; hit = edge.exec(sql)) {
    const isDoubled = sql[hit.index + 1] === hit[0];
    if (hit[0] !== "\\" && !isDoubled) return hit.index + 1;
    edge.lastIndex = hit.index + 2;
  }
  return sql.length;
}

/** Offset after the quote that continues a string closed at `end` (a line break lies between), else `end`. */
function continuation(sql: string, end: number): number {
  let at = endOf(REST_OF_LINE, sql, end);
  if (at === end) return end;
  for (let next = endOf(SPACE_OR_COMMENT_LINE, sql, at); next > at; ) {
    at = next;
    next = endOf(SPACE_OR_COMMENT_LINE, sql, at);
  }
  return sql[at] === "'" ? at + 1 : end;
}

/** End of a sticky pattern's match at `start`; `start` itself when it does not match. */
function endOf(pattern: RegExp, sql: string, start: number): number {
  pattern.lastIndex = start;
  return pattern.test(sql) ? pattern.lastIndex : start;
}
