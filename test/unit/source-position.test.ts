import { expect, test } from "bun:test";
import { locate, printable, renderCaret } from "../../src/core/source-position.ts";

const places: readonly [
  when: string,
  text: string,
  offset: number,
  then: readonly [number, number, string],
][] = [
  ["the start", "ab\ncd", 0, [1, 1, "ab"]],
  ["the end of a line", "ab\ncd", 2, [1, 3, "ab"]],
  ["the start of a line", "ab\ncd", 3, [2, 1, "cd"]],
  ["the end of the text", "ab\ncd", 5, [2, 3, "cd"]],
  ["the end after a last newline", "ab\n", 3, [2, 1, ""]],
  ["an empty first line", "\nab", 0, [1, 1, ""]],
  ["a line after an empty one", "\nab", 1, [2, 1, "ab"]],
  ["a place behind a pair of code units", "😀é x", 4, [1, 4, "😀é x"]],
  ["a CRLF line end", "ab\r\ncd", 1, [1, 2, "ab"]],
  ["before the text", "ab", -5, [1, 1, "ab"]],
  ["behind the text", "ab", 99, [1, 3, "ab"]],
  ["nothing", "", 0, [1, 1, ""]],
];

test.each(places)("locate() finds %s", (_when, text, offset, [line, column, lineText]) => {
  expect(locate(text, offset)).toEqual({ line, column, lineText });
});

/** The character of the shown line above the caret. */
function aboveCaret(block: string): string {
  const [, shown = "", caret = ""] = block.split("\n");
  return Array.from(shown)[Array.from(caret).indexOf("^")] ?? "";
}

test("renderCaret() gives place, line and caret", () => {
  const text = `${"\n".repeat(11)}    commit;`;
  expect(renderCaret("0003_roles.sql", text, 15)).toBe(
    ["0003_roles.sql:12:5", "  12 |     commit;", "     |     ^"].join("\n"),
  );
});

test("renderCaret() puts a message behind the place", () => {
  expect(renderCaret("a.sql", "b", 0, "why")).toBe("a.sql:1:1: why\n  1 | b\n    | ^");
});

test("renderCaret() keeps tabs before the caret", () => {
  expect(renderCaret("a.sql", "\tx\tcommit", 3).split("\n").slice(1)).toEqual([
    "  1 | \tx\tcommit",
    "    | \t \t^",
  ]);
});

test("renderCaret() lets no control character through", () => {
  expect(renderCaret("a\u001b.sql", "\u001b[31mx\0y", 6, "\u0007")).not.toMatch(/[^\P{Cc}\n]/u);
});

const cuts: readonly [when: string, text: string, offset: number][] = [
  ["at the start", `!${"x".repeat(500)}`, 0],
  ["in the middle", `${"x".repeat(300)}!${"x".repeat(300)}`, 300],
  ["at the end", `${"x".repeat(500)}!`, 500],
  ["behind pairs of code units", `${"😀".repeat(200)}!${"😀".repeat(200)}`, 400],
  ["in a line of one megabyte", `${"x".repeat(1 << 20)}!${"y".repeat(10)}`, 1 << 20],
];

test.each(cuts)("renderCaret() cuts a long line around a caret %s", (_when, text, offset) => {
  const block = renderCaret("a.sql", text, offset);
  expect(Array.from(block.split("\n")[1] ?? "").length).toBeLessThanOrEqual(106);
  expect(aboveCaret(block)).toBe("!");
});

test("renderCaret() points behind the last character at the end of the text", () => {
  expect(renderCaret("a.sql", "select 1", 8)).toEndWith("  1 | select 1\n    |         ^");
});

test("printable() keeps tabs and letters", () => {
  expect(printable("a\té\u0000\u009b")).toBe("a\té\ufffd\ufffd");
});
