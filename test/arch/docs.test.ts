import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { denoDocLint, undocumented, withoutHeader } from "./support/docs.ts";
import { sources } from "./support/source.ts";

const SOURCES = sources();

test("every file says in its first line what it is for", () => {
  expect(SOURCES.flatMap(withoutHeader)).toEqual([]);
  expect(withoutHeader({ path: "src/x.ts", text: 'import "y";' })).toEqual([
    "src/x.ts:1 has no header",
  ]);
});

test("every export has a docstring, and the check goes red on one that has none", () => {
  const folder = mkdtempSync(join(tmpdir(), "headgate-docs-"));
  const bad = join(folder, "bad.ts");
  const exported = [
    "export function f(): void {}",
    "export interface I {\n  readonly a: number;\n}",
  ];
  writeFileSync(bad, `${exported.join("\n")}\n/** Good. */\nexport const c: number = 1;\n`);
  try {
    const found = undocumented(denoDocLint([...SOURCES.map(({ path }) => path), bad]));
    const isPlanted = (line: string): boolean => line.includes(bad);
    expect(found.filter(isPlanted)).toHaveLength(2);
    expect(found.filter((line) => !isPlanted(line) && !line.includes(".gen.ts:"))).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
