// biome-ignore-all lint/suspicious/noTemplateCurlyInString: made-up sources as text
import { describe, expect, test } from "bun:test";
import {
  barrels,
  forbiddenImports,
  forbiddenNames,
  LAYERS,
  layerOf,
  tooLong,
} from "./support/layers.ts";
import { type Source, scan, sources } from "./support/source.ts";

const SOURCES = sources();
const LINES_MAX = 200;

/** Longer files, each with its reason. A number here may shrink and not grow. */
const LONGER: Readonly<Record<string, { readonly lines: number; readonly reason: string }>> = {
  "src/config/settings.ts": { lines: 320, reason: "a table: one entry per flag" },
  "src/embed/bundle.gen.ts": { lines: 20_000, reason: "generated: two lines per migration" },
};

const rules: readonly [rule: string, check: (source: Source) => readonly string[]][] = [
  ["imports only what its layer may", forbiddenImports],
  ["names only what its layer may", forbiddenNames],
  ["has no barrel", barrels],
  [`has at most ${LINES_MAX} lines in a file`, (source) => tooLong(source, LINES_MAX, LONGER)],
];

test.each(rules)("src/ %s", (_rule, check) => {
  expect(SOURCES.flatMap(check)).toEqual([]);
});

test("src/ has files in every layer of the table, and exceptions only for files that are there", () => {
  const found = new Set(SOURCES.map(({ path }) => layerOf(path)));
  expect([...found].sort()).toEqual(Object.keys(LAYERS).sort());
  const paths = SOURCES.map(({ path }) => path);
  expect(Object.keys(LONGER).filter((path) => !paths.includes(path))).toEqual([]);
});

describe("forbiddenImports() goes red on", () => {
  const table: readonly [path: string, text: string, line: number][] = [
    ["src/core/head.ts", 'import { x } from "../db/gate.ts";', 1],
    ["src/core/head.ts", '\n\nimport type { X } from "../ports.ts";', 3],
    ["src/core/head.ts", 'import { createHash } from "node:crypto";', 1],
    ["src/core/checksum.ts", 'import { readFileSync } from "node:fs";', 1],
    ["src/core/head.ts", 'import * as v from "valibot";', 1],
    ["src/core/head.ts", 'import "node:fs";', 1],
    ["src/core/head.ts", 'export { x } from "../flow/up.ts";', 1],
    ["src/core/head.ts", 'import {\n  a,\n  b,\n} from "../db/gate.ts";', 4],
    ["src/ports.ts", 'import type { X } from "./core/head.ts";', 1],
    ["src/config/config.ts", 'import { x } from "../ports.ts";', 1],
    ["src/log/writer.ts", 'import { EVENTS } from "../core/events.ts";', 1],
    ["src/embed/source.ts", 'import t from "../../README.md" with { type: "text" };', 1],
    ["src/db/gate.ts", 'import { x } from "../flow/up.ts";', 1],
    ["src/db/gate.ts", 'import { readFileSync } from "node:fs";', 1],
    ["src/flow/up.ts", 'import postgres from "postgres";', 1],
    ["src/flow/up.ts", 'import { HEAD } from "../embed/head.gen.ts";', 1],
    ["src/flow/up.ts", 'import { x } from "../cli/run.ts";', 1],
    ["src/flow/up.ts", 'const { x } = await import("../cli/run.ts");', 1],
    ["src/flow/up.ts", "const x = await import(path);", 1],
    ["src/flow/up.ts", "const x = await import(`../${name}.ts`);", 1],
    ["src/cli/run.ts", 'import { x } from "../db/gate.ts";', 1],
    ["src/cli/run.ts", 'const { x } = await import(\n  "../embed/source.ts"\n);', 1],
    ["src/runtime/files.ts", 'import { x } from "../flow/up.ts";', 1],
    ["src/runtime/files.ts", 'import { $ } from "bun";', 1],
    ["src/main.ts", 'import { Database } from "bun:sqlite";', 1],
    ["src/main.ts", 'import { readFileSync } from "node:fs";', 1],
    ["src/elsewhere/x.ts", "", 1],
  ];
  test.each(table)("%s with %s", (path, text, line) => {
    const found = forbiddenImports({ path, text });
    expect(found).toHaveLength(1);
    expect(found[0]).toStartWith(`${path}:${line} `);
  });

  const allowed: readonly [path: string, text: string][] = [
    ["src/core/checksum.ts", 'import { createHash } from "node:crypto";'],
    ["src/core/head.ts", 'import { x } from "./ledger.ts"; // from "../db/gate.ts"'],
    ["src/core/head.ts", 'const sql = `select from "x"`; const t = "from \'y\'";'],
    [
      "src/embed/bundle.gen.ts",
      'import m0 from "../../migrations/0001_a.sql" with { type: "text" };',
    ],
    ["src/main.ts", 'const { x } = await import("./db/gate.ts");'],
    ["src/runtime/host.ts", 'import { hostname } from "node:os";'],
  ];
  test.each(allowed)("and stays green on %s with %s", (path, text) => {
    expect(forbiddenImports({ path, text })).toEqual([]);
  });
});

describe("forbiddenNames() goes red on", () => {
  const table: readonly [path: string, text: string, name: string][] = [
    ["src/flow/up.ts", "await Bun.sleep(5);", "Bun"],
    ["src/flow/up.ts", "const f = Deno.readTextFileSync;", "Deno"],
    ["src/flow/up.ts", 'console.log("x");', "console"],
    ["src/flow/up.ts", "const x = globalThis.process;", "globalThis"],
    ["src/cli/run.ts", "process.exit(1);", "process"],
    ["src/cli/run.ts", "const { env } = process;", "process"],
    ["src/cli/run.ts", "const text = `${process.pid}`;", "process"],
    ["src/runtime/host.ts", "const pid = process.pid;", "process"],
    ["src/core/head.ts", "export async function x() {}", "async"],
    ["src/core/head.ts", "type X = Promise<number>;", "Promise"],
    ["src/core/head.ts", "const now = Date.now();", "Date.now"],
    ["src/core/head.ts", "const now = new Date();", "Date()"],
    ["src/core/head.ts", "const now = performance.now();", "performance"],
    ["src/core/head.ts", "const x = Math.random();", "Math.random"],
    ["src/core/head.ts", "const x = crypto.randomUUID();", "randomness"],
    ["src/core/head.ts", "setTimeout(f, 5);", "a timer"],
    ["src/core/head.ts", 'const x = /["]/; const y = Date.now();', "Date.now"],
  ];
  test.each(table)("%s with %s", (path, text, name) => {
    expect(forbiddenNames({ path, text })).toEqual([
      `${path}:1 uses ${name}, which ${layerOf(path)} may not`,
    ]);
  });

  const allowed: readonly [path: string, text: string][] = [
    ["src/core/head.ts", "/** Never async; Date.now() is not for us. */"],
    ["src/core/head.ts", 'const text = "process.env and await Promise";'],
    ["src/core/head.ts", "const text = `Math.random() ${x} console.log`;"],
    ["src/core/head.ts", "type X = { readonly startedAt: Date | null };"],
    ["src/core/head.ts", "const x = /async await/.test(y);"],
    ["src/flow/up.ts", "const now = child.process; const p = Promise.race([]);"],
    ["src/runtime/bun.ts", "export const f = Bun.file;"],
    ["src/main.ts", "process.exitCode = 1;"],
  ];
  test.each(allowed)("and stays green on %s with %s", (path, text) => {
    expect(forbiddenNames({ path, text })).toEqual([]);
  });
});

describe("barrels() goes red on", () => {
  test.each([
    'export * from "./a.ts";',
    'export { a } from "./a.ts";',
    'export type { A,\n B } from "./a.ts";',
  ])("%s", (text) => {
    expect(barrels({ path: "src/core/x.ts", text })).toEqual([
      "src/core/x.ts:1 re-exports another file",
    ]);
  });

  test("a file named utils.ts", () => {
    expect(barrels({ path: "src/core/utils.ts", text: "" })).toHaveLength(1);
  });

  test("and stays green on an export of its own", () => {
    expect(barrels({ path: "src/core/x.ts", text: "const a = 1;\nexport { a };" })).toEqual([]);
  });
});

test("tooLong() goes red one line above the limit", () => {
  const of = (lines: number): Source => ({ path: "src/core/x.ts", text: "x\n".repeat(lines) });
  expect(tooLong(of(200), 200, {})).toEqual([]);
  expect(tooLong(of(201), 200, {})).toHaveLength(1);
  expect(tooLong(of(201), 200, { "src/core/x.ts": { lines: 201 } })).toEqual([]);
});

describe("scan()", () => {
  const table: readonly [text: string, code: string][] = [
    ['a("b") // c', 'a(" ")     '],
    ["a /* b\nc */ d", "a     \n     d"],
    ["'\\'x' + y", "'   ' + y"],
    ["`a${b(`c${d}`)}e` f", "` ${b(` ${d}`)} ` f"],
    ["`${{ a: { b: 1 } }}` }", "`${{ a: { b: 1 } }}` }"],
    ['x = /["/`]/g; y', "x =         ; y"],
    ["a / b / c", "a / b / c"],
    ["return /'/.test(a)", "return    .test(a)"],
  ];
  test.each(table)("of %s", (text, code) => {
    expect(scan(text).code).toBe(code);
  });

  test("keeps every offset of every file", () => {
    for (const { text } of SOURCES) expect(scan(text).code).toHaveLength(text.length);
  });
});
