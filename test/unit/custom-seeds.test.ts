import { describe, expect, test } from "bun:test";
import { buildCustomSeeds, type CustomSeeds } from "../../src/core/custom-seeds.ts";
import { HeadgateError } from "../../src/core/error.ts";

interface Source {
  readonly file: string;
  readonly text: string;
}

function seeds(first: Source, ...others: readonly Source[]): CustomSeeds {
  return buildCustomSeeds([first, ...others]);
}

function refusal(first: Source, ...others: readonly Source[]): HeadgateError {
  try {
    seeds(first, ...others);
  } catch (error) {
    if (error instanceof HeadgateError) return error;
    throw error;
  }
  throw new Error("the seeds were built");
}

const A: Source = { file: "a.sql", text: "insert into t values (1);\n" };
const B: Source = { file: "b.sql", text: "insert into t values (2);\n" };
const MARK = seeds(A, B).mark;

describe("buildCustomSeeds()", () => {
  test("sorts by code units, whatever the order of the folder", () => {
    const names = ["a.sql", "B.sql", "10.sql", "9.sql", "ä.sql", "a-b.sql", "a.b.sql"];
    const sources = names.map((file): Source => ({ file, text: "select 1" }));
    const [first = A, ...others] = sources;
    const [last = A, ...before] = sources.toReversed();
    const sorted = ["10.sql", "9.sql", "B.sql", "a-b.sql", "a.b.sql", "a.sql", "ä.sql"];
    expect(seeds(first, ...others).files.map(({ file }) => file)).toEqual(sorted);
    expect(seeds(last, ...before)).toEqual(seeds(first, ...others));
  });

  test("marks the folder, not the way in which it was read", () => {
    expect(MARK).toMatchObject({ name: "custom", number: 0 });
    expect(MARK.fingerprint).toMatch(/^[0-9a-f]{64}$/);
    expect(seeds(B, A).mark).toEqual(MARK);
  });

  const same: readonly [when: string, text: string][] = [
    ["the line ends of another system", A.text.replaceAll("\n", "\r\n")],
    ["a byte-order mark", `\uFEFF${A.text}`],
  ];
  test.each(same)("has the same fingerprint with %s, and runs the same text", (_when, text) => {
    expect(seeds({ ...A, text }, B)).toEqual(seeds(A, B));
    expect(seeds({ ...A, text }, B).files[0].sql).toBe(A.text);
  });

  const other: readonly [when: string, first: Source, others: readonly Source[]][] = [
    ["another content", { ...A, text: `${A.text} ` }, [B]],
    ["another name", { ...A, file: "aa.sql" }, [B]],
    ["a file less", A, []],
    ["a file more", A, [B, { file: "c.sql", text: "" }]],
    ["the contents of two files exchanged", { ...A, text: B.text }, [{ ...B, text: A.text }]],
    ["both texts in one file", { ...A, text: A.text + B.text }, []],
  ];
  test.each(other)("has another fingerprint with %s", (_when, first, others) => {
    expect(seeds(first, ...others).mark.fingerprint).not.toBe(MARK.fingerprint);
  });

  test("refuses what may not stand in a transaction: every place, with a caret", () => {
    const first = { file: "b.sql", text: "select 1;\n  commit;\nset search_path = x;\n" };
    const { code, message, hint } = refusal(first, A, { file: "a0.sql", text: "begin;" });
    expect(code).toBe("bundle-invalid");
    expect(hint).toContain("run the command again");
    expect(message.split("\n").map((line) => line.replace(/ is refused: .*/, ""))).toEqual([
      "Cannot use the seeds: nothing was run",
      "a0.sql:1:1: BEGIN",
      "  1 | begin;",
      "    | ^",
      "b.sql:2:3: COMMIT",
      "  2 |   commit;",
      "    |   ^",
      "b.sql:3:1: SET",
      "  3 | set search_path = x;",
      "    | ^",
    ]);
  });

  test("takes everything else as it is, an empty file too", () => {
    const text = "-- commit;\ninsert into t values ('commit;') on conflict do nothing";
    expect(seeds({ file: "x.sql", text }, { file: "y.sql", text: "" }).files).toEqual([
      { file: "x.sql", sql: text },
      { file: "y.sql", sql: "" },
    ]);
  });
});
