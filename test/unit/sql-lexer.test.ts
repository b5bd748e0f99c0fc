import { describe, expect, test } from "bun:test";
import { isSignificant, tokenize } from "../../src/core/sql-lexer.ts";
import { GROWTH_TIMEOUT_MS, growthOf, LINEAR_GROWTH_MAX } from "../support/growth.ts";
import { FRAGMENTS, randomJoin, randomNumbers, sqlFiles } from "./sql-fragments.ts";

/** `kind:text` of every significant token. */
function significant(sql: string): readonly string[] {
  return tokenize(sql)
    .filter(isSignificant)
    .map((token) => `${token.kind}:${sql.slice(token.start, token.end)}`);
}

function rejoined(sql: string): string {
  return tokenize(sql)
    .map((token) => sql.slice(token.start, token.end))
    .join("");
}

const table: readonly [when: string, sql: string, then: readonly string[]][] = [
  ["words and symbols", "a+1", ["word:a", "symbol:+", "number:1"]],
  ["a line comment", "a --b;\nc", ["word:a", "word:c"]],
  ["a line comment after an operator", "a+--b\nc", ["word:a", "symbol:+", "word:c"]],
  ["a nested block comment", "a /* /* b */ ; */ c", ["word:a", "word:c"]],
  [
    "a block comment of stars and slashes",
    "/**/a/***/b/*/*/**/*/*/c",
    ["word:a", "word:b", "word:c"],
  ],
  ["a doubled quote", "'it''s; ' a", ["string:'it''s; '", "word:a"]],
  ["a backslash in a plain string", "'\\' a", ["string:'\\'", "word:a"]],
  ["a backslash in an E string", "E'\\'; ' a", ["string:E'\\'; '", "word:a"]],
  ["an escaped backslash in an E string", "e'\\\\' a", ["string:e'\\\\'", "word:a"]],
  ["a doubled quote in an E string", "E'a''\\'b' c", ["string:E'a''\\'b'", "word:c"]],
  ["a word that ends in e before a string", "the'\\' a", ["word:the", "string:'\\'", "word:a"]],
  ["an E that is a word", "e 'a'", ["word:e", "string:'a'"]],
  [
    "bit, hex, national and Unicode strings",
    "b'1'X'f'n'a'U&'\\0041'",
    ["string:b'1'", "string:X'f'", "string:n'a'", "string:U&'\\0041'"],
  ],
  [
    "a string continued on the next line",
    "'a' -- x\n  'b' c",
    ["string:'a' -- x\n  'b'", "word:c"],
  ],
  ["an E string continued on the next line", "E'a'\n'\\'; ' c", ["string:E'a'\n'\\'; '", "word:c"]],
  ["two strings on one line", "'a' 'b'", ["string:'a'", "string:'b'"]],
  ["a string, a line comment and no string", "'a' -- x\nb", ["string:'a'", "word:b"]],
  ["a quoted identifier", '"a""; b" c', ['quoted-identifier:"a""; b"', "word:c"]],
  [
    "a Unicode identifier",
    'U&"d;" u&1',
    ['quoted-identifier:U&"d;"', "word:u", "symbol:&", "number:1"],
  ],
  ["a dollar quote without a tag", "$$a;'$$ b", ["dollar-string:$$a;'$$", "word:b"]],
  ["a dollar quote with a tag", "$x$ $$ $y$ $x$ b", ["dollar-string:$x$ $$ $y$ $x$", "word:b"]],
  ["tags that differ in case", "$x$ $X$ $x$ b", ["dollar-string:$x$ $X$ $x$", "word:b"]],
  ["a closing tag right behind another one", "$x$a$b$x$ c", ["dollar-string:$x$a$b$x$", "word:c"]],
  ["a tag with a letter outside ASCII", "$é$;$é$ c", ["dollar-string:$é$;$é$", "word:c"]],
  ["a dollar inside a word", "a$b$c;$d", ["word:a$b$c", "symbol:;", "symbol:$", "word:d"]],
  [
    "a tag that begins with a digit",
    "$1$;$1$",
    ["param:$1", "symbol:$", "symbol:;", "param:$1", "symbol:$"],
  ],
  ["a dollar quote behind a number", "1$a$;$a$", ["number:1", "dollar-string:$a$;$a$"]],
  ["a parameter", "$12+$1", ["param:$12", "symbol:+", "param:$1"]],
  [
    "numbers",
    "1.5 .5 1. 1e-5 0x1F 1_000 1..3",
    [
      "number:1.5",
      "number:.5",
      "number:1.",
      "number:1e-5",
      "number:0x1F",
      "number:1_000",
      "number:1",
      "symbol:.",
      "symbol:.",
      "number:3",
    ],
  ],
  ["letters outside ASCII", "größe😀x", ["word:größe😀x"]],
  ["a no-break space, which PostgreSQL takes for a letter", "a\u00a0b", ["word:a\u00a0b"]],
  ["a cast", "a::b", ["word:a", "symbol::", "symbol::", "word:b"]],
  ["a backslash", "\\d", ["symbol:\\", "word:d"]],
  ["an unterminated string", "a 'b;", ["word:a", "string:'b;"]],
  ["an E string that ends in a backslash", "E'\\", ["string:E'\\"]],
  ["an unterminated identifier", 'a "b;', ["word:a", 'quoted-identifier:"b;']],
  ["an unterminated dollar quote", "a $b$ c $b", ["word:a", "dollar-string:$b$ c $b"]],
  ["an unterminated block comment", "a /* /* b */ ;", ["word:a"]],
  ["a continued string without an end", "'a'\n'b;", ["string:'a'\n'b;"]],
  ["nothing", "", []],
];

test.each(table)("tokenize() reads %s", (_when, sql, then) => {
  expect(significant(sql)).toEqual([...then]);
  expect(rejoined(sql)).toBe(sql);
});

describe("tokenize() covers every character once", () => {
  test("in random joins of tricky fragments", () => {
    const next = randomNumbers(1);
    for (let round = 0; round < 4000; round += 1) {
      const sql = randomJoin(FRAGMENTS, next);
      const tokens = tokenize(sql);
      expect(rejoined(sql)).toBe(sql);
      expect(tokens.every((token) => token.end > token.start)).toBe(true);
      expect(tokens.every((token, at) => token.start === (tokens[at - 1]?.end ?? 0))).toBe(true);
    }
  });

  test("in the SQL files that PostgreSQL installs", async () => {
    for (const file of await sqlFiles()) expect(rejoined(file.text) === file.text).toBe(true);
  });
});

const MEGABYTE = 1 << 20;
const large: readonly [what: string, sql: string][] = [
  ["apostrophes", "'".repeat(MEGABYTE)],
  ["open block comments", "/*".repeat(MEGABYTE / 2)],
  ["dollars", "$".repeat(MEGABYTE - 1)],
  ["dollar tags that never close", "$a".repeat(MEGABYTE / 2)],
  ["different dollar quotes", Array.from({ length: 100_000 }, (_, n) => `$a${n}$`).join(" ")],
  ["backslashes in an E string", `E'${"\\".repeat(MEGABYTE)}`],
  ["continued strings", "'a'\n".repeat(MEGABYTE / 4)],
  ["a string and lines of comments", `'a'${"\n--".repeat(MEGABYTE / 3)}`],
  ["space", " ".repeat(MEGABYTE)],
  ["digits", "1_".repeat(MEGABYTE / 2)],
  ["dots", ".".repeat(MEGABYTE)],
  ["statements", "insert into a values (1, 'b'); ".repeat(MEGABYTE / 31)],
];

test.each(large)(
  "tokenize() takes as long as 1 MB is long, of %s",
  (_what, sql) => {
    expect(growthOf(sql, tokenize)).toBeLessThan(LINEAR_GROWTH_MAX);
  },
  GROWTH_TIMEOUT_MS,
);

test("growthOf() tells quadratic work from linear work", () => {
  const quadratic = (text: string): number => {
    let sum = 0;
    for (let end = 0; end < text.length; end += 1) {
      for (let at = 0; at < end; at += 1) sum += text.charCodeAt(at);
    }
    return sum;
  };
  expect(growthOf("a".repeat(16_000), quadratic)).toBeGreaterThan(LINEAR_GROWTH_MAX);
});
