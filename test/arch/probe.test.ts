/** What a probe loads: every file costs each pod again every few seconds, and a Node module the most. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ROOT } from "./support/source.ts";

/** The entry, and what it imports by name on a probe's way. */
const ENTRIES: readonly string[] = [
  "src/main.ts",
  "src/cli/run.ts",
  "src/flow/probe.ts",
  "src/embed/source.ts",
  "src/wire/session.ts",
  "src/runtime/bun.ts",
];
/** Loaded by what comes before the question. */
const PACKAGES: readonly string[] = ["cac", "valibot"];
const FOLDERS: readonly string[] = [
  "cli",
  "config",
  "core",
  "embed",
  "log",
  "main",
  "runtime",
  "wire",
];
/** Of the layers that commands share, a probe has these files only. */
const SHARED: readonly string[] = [
  "src/db/ledger.ts",
  "src/db/liveness.ts",
  "src/db/place.ts",
  "src/flow/access.ts",
  "src/flow/db-trouble.ts",
  "src/flow/expect-bundle.ts",
  "src/flow/probe.ts",
  "src/flow/state.ts",
];

interface Graph {
  readonly files: ReadonlySet<string>;
  readonly packages: ReadonlySet<string>;
}

function importsOf(text: string): readonly string[] {
  const found = text.matchAll(/^import (?!type\b)(?:([^;"]*?) from )?"([^"]+)"/gm);
  return [...found].filter(([, what = ""]) => !isOfTypes(what)).map(([, , from = ""]) => from);
}

/** `{ type A, type B }` */
function isOfTypes(what: string): boolean {
  const names = /^\{(.*)\}$/s.exec(what.trim())?.[1]?.split(",");
  return names?.every((name) => /^\s*(?:type\b.*)?$/s.test(name)) === true;
}

/** Static imports of values, followed; those of types alone are gone when it runs. */
function graphOf(
  entries: readonly string[],
  read: (path: string) => string = (path) => readFileSync(join(ROOT, path), "utf8"),
): Graph {
  const files = new Set<string>();
  const packages = new Set<string>();
  const follow = (path: string): void => {
    if (files.has(path)) return;
    files.add(path);
    for (const from of importsOf(read(path))) {
      if (!from.startsWith(".")) packages.add(from);
      else if (from.endsWith(".ts")) follow(join(dirname(path), from));
    }
  };
  for (const entry of entries) follow(entry);
  return { files, packages };
}

test("a probe loads no driver, no Node module, and of the shared layers what it needs", () => {
  const { files, packages } = graphOf(ENTRIES);
  expect([...packages].sort()).toEqual([...PACKAGES]);
  const shared = [...files].filter(
    (path) => !FOLDERS.some((name) => path.startsWith(`src/${name}/`)),
  );
  expect(shared.sort()).toEqual([...SHARED, "src/main.ts"].sort());
});

test("a file on its way that imports a Node module or another flow is seen", () => {
  const planted: Readonly<Record<string, string>> = {
    "src/a.ts": 'import { type T, b } from "./b.ts";\nimport type { C } from "./c.ts";',
    "src/b.ts":
      'import {\n  readFileSync,\n} from "node:fs";\nimport { type D } from "./d.ts";\nimport "./e.ts";',
    "src/e.ts": 'const lazy = await import("./f.ts");',
  };
  const { files, packages } = graphOf(["src/a.ts"], (path) => planted[path] ?? "");
  expect([...files]).toEqual(["src/a.ts", "src/b.ts", "src/e.ts"]);
  expect([...packages]).toEqual(["node:fs"]);
});
