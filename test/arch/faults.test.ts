/** The table of faults in ARCHITECTURE.md names a test for every row, and these tests are there. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

const ROOT: string = join(import.meta.dirname, "../..");
const ARCHITECTURE = readFileSync(join(ROOT, ".github/ARCHITECTURE.md"), "utf8");
const SECTION = /^## Faults\n(.*?)^## /ms.exec(`${ARCHITECTURE}\n## `)?.[1] ?? "";

/** One line for each row without a test, and for each test that is not there. */
function unproven(section: string): readonly string[] {
  const rows = section.split("\n").filter((line) => line.startsWith("| "));
  return rows.slice(2).flatMap((row) => {
    const named = [...row.matchAll(/`([a-z-]+)` "([^"]+)"/g)];
    if (named.length === 0) return [`no test: ${row}`];
    return named.flatMap(([, file = "", words = ""]) => {
      const path = join(ROOT, "test/e2e", `${file}.test.ts`);
      const isThere = existsSync(path) && readFileSync(path, "utf8").includes(words);
      return isThere ? [] : [`${file} has no "${words}"`];
    });
  });
}

test("every row of the table of faults names tests that are there", () => {
  expect(SECTION.split("\n").filter((line) => line.startsWith("| ")).length).toBeGreaterThan(20);
  expect(unproven(SECTION)).toEqual([]);
});

test("a row without a test, a file and a name that are not there go red", () => {
  const head = "| Fault | Tested in |\n| --- | --- |\n";
  const rows = '| a | none |\n| b | `nowhere` "x" |\n| c | `crash` "no such words" |';
  expect(unproven(head + rows)).toHaveLength(3);
});
