import { expect, test } from "bun:test";
import { buildBundle } from "../../src/core/bundle.ts";
import { checksumOf, historyAfter, normalise } from "../../src/core/checksum.ts";

const EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

const texts: readonly [when: string, text: string, then: string][] = [
  ["a byte-order mark", "\ufeffa", "a"],
  ["a second byte-order mark", "\ufeff\ufeffa", "\ufeffa"],
  ["CRLF", "a\r\nb\r\n", "a\nb\n"],
  ["lone CR", "a\rb\r", "a\nb\n"],
  ["CR before CRLF", "a\r\r\nb", "a\n\nb"],
  ["LF", "a\n\nb", "a\n\nb"],
];

test.each(texts)("normalise() with %s", (_when, text, then) => {
  expect(normalise(text)).toBe(then);
  expect(normalise(then)).toBe(then.replace(/^\ufeff/, ""));
});

test("checksumOf() is SHA-256 of the UTF-8 bytes", () => {
  expect(checksumOf("")).toBe(EMPTY);
  expect(checksumOf("é")).toBe("4a99557e4033c3539de2eb65472017cad5f9557f7a0625a09f1c3f6e2ba69c4c");
});

test("historyAfter() covers the history before, the version and the checksum", () => {
  expect(historyAfter("", 1, "c")).toBe(checksumOf("\n1\nc"));
  expect(historyAfter("h", 12, "c")).toBe(checksumOf("h\n12\nc"));
});

test("a bundle's last history is over all that came before", () => {
  const bundle = buildBundle(
    [
      { file: "1_a.sql", text: "select 1" },
      { file: "2_b.sql", text: "select 2" },
    ],
    "test",
  );
  const first = historyAfter("", 1, checksumOf("select 1"));
  expect(bundle.at(-1)?.history).toBe(historyAfter(first, 2, checksumOf("select 2")));
});
