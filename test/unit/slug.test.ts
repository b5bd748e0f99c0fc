import { describe, expect, test } from "bun:test";
import { slugify } from "../../src/core/slug.ts";

const SEPARATORS = ["-", "--", ".", "_"];

describe("slugify()", () => {
  const table: readonly [text: string, slug: string][] = [
    ["Platform Administrator's Team", "platform-administrators-team"],
    ["Platform Administrator’s Team", "platform-administrators-team"],
    ["Don't Stop", "dont-stop"],
    ["rock'n'roll", "rockn-roll"],
    ["'quoted' words'", "quoted-words"],
    ["snake_case__name", "snake-case-name"],
    ["  --Café & Restaurant!--  ", "cafe-restaurant"],
    ["user@example.com", "user-example-com"],
    ["Zürich Ærø Straße", "zurich-aero-strasse"],
    ["Ångström №5", "angstrom-5"],
    ["cafe\u0301 noir", "cafe-noir"],
    ["ﬁne", "fine"],
    ["x² 4½", "x2-412"],
    ["a—b", "a-b"],
    ["Team 日本", "team-"],
    ["日本", ""],
    ["---", ""],
    ["", ""],
  ];
  test.each(table)("of %p is %p", (text, slug) => {
    expect(slugify(text, "-")).toBe(slug);
  });

  test.each(SEPARATORS)("puts %p between words", (separator) => {
    expect(slugify(" A b_c-d.e ", separator)).toBe(["a", "b", "c", "d", "e"].join(separator));
  });

  test.each(SEPARATORS)("of a slug is that slug, with %p", (separator) => {
    const alphabet = [..."abzAZ09 _-.,'’&/—\táéÜñçæÆßøØ"];
    let state = 7;
    const next = (): number => {
      state = (state * 48_271) % 2_147_483_647;
      return state;
    };
    for (let round = 0; round < 2000; round += 1) {
      const text = Array.from({ length: next() % 24 }, () => alphabet[next() % alphabet.length]);
      const slug = slugify(text.join(""), separator);
      expect(slugify(slug, separator)).toBe(slug);
      expect(slug.split(separator).join("")).toMatch(/^[a-z0-9]*$/);
      expect(slug.startsWith(separator) || slug.endsWith(separator)).toBe(false);
    }
  });
});
