import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  loadBundle,
  renderBundleModule,
  renderHeadModule,
  renderSums,
} from "../../.ci/generate.ts";
import { FILES } from "../../src/embed/bundle.gen.ts";
import { loadEmbedded } from "../../src/embed/source.ts";
import { ROOT } from "./support/source.ts";
import { gapsOf } from "./support/sums.ts";

const BUNDLE = loadBundle(join(ROOT, "migrations"));

describe("generated files are what bun run generate writes:", () => {
  const table: readonly [file: string, rendered: string][] = [
    ["src/embed/bundle.gen.ts", renderBundleModule(BUNDLE, "../../migrations/")],
    ["src/embed/head.gen.ts", renderHeadModule(BUNDLE)],
    ["migrations/SHA256SUMS", renderSums(BUNDLE)],
  ];
  test.each(table)("%s", (file, rendered) => {
    const isSame = readFileSync(join(ROOT, file), "utf8") === rendered;
    expect(isSame ? "up to date" : `${file} is stale: run "bun run generate"`).toBe("up to date");
  });
});

test("the embedded migrations are the folder's, whole", async () => {
  expect(FILES.map(({ file }) => file)).toEqual(BUNDLE.map(({ file }) => file));
  expect(await loadEmbedded()).toEqual([...BUNDLE]);
});

test("the embedded versions are 1..n without a gap", () => {
  expect(gapsOf(BUNDLE.map(({ version }) => version))).toEqual([]);
});

test("gapsOf() goes red on a gap and on another start", () => {
  expect(gapsOf([1, 2, 4])).toEqual(["3 is missing"]);
  expect(gapsOf([2, 3])).toEqual(["1 is missing"]);
  expect(gapsOf([1, 2, 3])).toEqual([]);
});
