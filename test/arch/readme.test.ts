/** The documents say what the code says: generated blocks are fresh, and what they name is there. */
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { BLOCKS, withBlocks } from "../../.ci/readme.ts";
import { ROOT } from "./support/source.ts";

const README = readFileSync(join(ROOT, "README.md"), "utf8");
const DOCUMENTS: readonly string[] = [
  "README.md",
  "CHANGELOG.md",
  ...markdownIn(".github"),
  ...markdownIn(".github/decisions"),
  ...markdownIn(".github/guides"),
];

function markdownIn(folder: string): readonly string[] {
  return readdirSync(join(ROOT, folder))
    .filter((file) => file.endsWith(".md"))
    .map((file) => join(folder, file));
}

/** Relative links, and paths of this repository in backticks, that lead nowhere. */
function deadPaths(path: string, text: string): readonly string[] {
  const prose = text.replace(/^```[\s\S]*?^```/gm, "");
  const links = [...prose.matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)].map(([, link = ""]) =>
    join(dirname(path), link),
  );
  const named = [...prose.matchAll(/`((?:src|test|migrations|\.ci|\.github)\/[\w./-]+)`/g)].map(
    ([, name = ""]) => name,
  );
  return [...links, ...named]
    .filter((each) => !existsSync(join(ROOT, each)))
    .map((each) => `${path} names ${each}, which is not there`);
}

test.each(Object.keys(BLOCKS))("README.md's %s block is what the code says", (name) => {
  const { [name]: render = (): string => "" } = BLOCKS;
  const isFresh = withBlocks(README, { [name]: render }) === README;
  expect(isFresh ? "up to date" : 'README.md is stale: run "bun .ci/readme.ts"').toBe("up to date");
});

test.each(DOCUMENTS)("every path that %s names is there", (path) => {
  expect(deadPaths(path, readFileSync(join(ROOT, path), "utf8"))).toEqual([]);
});

test("decisions are numbered 0001..n without a gap", () => {
  const numbers = markdownIn(".github/decisions").map((path) => /(\d{4})-/.exec(path)?.[1]);
  const expected = numbers.map((_, index) => String(index + 1).padStart(4, "0"));
  expect(numbers.sort()).toEqual(expected);
});

test("deadPaths() goes red on a dead link and a dead path, and on nothing else", () => {
  const text = "[a](CHANGELOG.md) [b](https://x.invalid/y) [c](#d) `src/main.ts` `up --dir x`";
  expect(deadPaths("README.md", text)).toEqual([]);
  expect(deadPaths("README.md", "```text\n`src/none.ts`\n```\n")).toEqual([]);
  expect(deadPaths("README.md", "[a](NONE.md)")).toHaveLength(1);
  expect(deadPaths("README.md", "see `src/none.ts`")).toHaveLength(1);
  expect(deadPaths(".github/X.md", "[a](README.md)")).toHaveLength(1);
});

describe("withBlocks()", () => {
  const blocks = { x: (): string => "new" };
  const fresh = "a\n<!-- x:begin -->\nnew\n<!-- x:end -->\nb\n";

  test("replaces what stands between the markers, and only that", () => {
    expect(withBlocks("a\n<!-- x:begin -->\n\nold\n<!-- x:end -->\nb\n", blocks)).toBe(fresh);
    expect(withBlocks(fresh, blocks)).toBe(fresh);
  });

  test.each([
    "no markers",
    "<!-- x:begin -->",
    "<!-- x:end -->\n<!-- x:begin -->",
    "<!-- x:end -->\n<!-- x:begin -->\n<!-- x:end -->",
    "<!-- x:begin -->\n<!-- x:end -->\n<!-- x:begin -->\n<!-- x:end -->",
  ])("goes red on %p", (document) => {
    expect(() => withBlocks(document, blocks)).toThrow("once each");
  });
});
