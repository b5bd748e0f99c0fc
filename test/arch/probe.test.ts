/** What a probe loads: every file costs each pod again every few seconds, and a Node module the most. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ROOT } from "./support/source.ts";

/** A probe that is answered imports nothing by name; every other command, and every trouble, does. */
const ENTRY = "src/main.ts";
/** Minified, as it is compiled. It may shrink, and grow for a reason only. */
const BYTES_MAX = 64_000;
/**
 * What the probe's program imports by name is another program when it is compiled, with classes of its own. So each
 * of these takes everything over, or knows no class, or is for what a plain probe never does.
 */
const LAZY: Readonly<Record<string, string>> = {
  "src/main/command.ts": "takes everything over",
  "src/wire/channel-binding.ts": "knows no class",
  "src/wire/saslprep.ts": "knows no class",
  "src/core/bundle.ts": "reads a folder, or migrations",
  "src/core/custom-seeds.ts": "reads seeds",
  "src/db/connection.ts": "is for another runtime, and for who writes",
  "src/embed/bundle.gen.ts": "reads migrations",
  "src/flow/required-seeds.ts": "reads seeds",
  "src/runtime/seed-folder.ts": "reads seeds",
};

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
  "src/db/columns.ts",
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

/** Of the entry and all that it imports, without what is imported by name. */
async function bytesOf(entry: string): Promise<number> {
  const { outputs, logs } = await Bun.build({
    entrypoints: [entry],
    minify: true,
    target: "bun",
    plugins: [
      {
        name: "without what is lazy",
        setup: (build) => {
          build.onResolve({ filter: /./ }, ({ path, kind }) =>
            kind === "dynamic-import" ? { path, external: true } : undefined,
          );
        },
      },
    ],
  });
  const [output] = outputs;
  if (output === undefined) throw new AggregateError(logs, `${entry} does not compile`);
  return output.size;
}

test("a probe loads no package, no Node module, and of the shared layers what it needs", () => {
  const { files, packages } = graphOf([ENTRY]);
  expect([...packages]).toEqual([]);
  const shared = [...files].filter(
    (path) => !FOLDERS.some((name) => path.startsWith(`src/${name}/`)),
  );
  expect(shared.sort()).toEqual([...SHARED, "src/main.ts"].sort());
});

test("what it imports by name has a reason", () => {
  const { files } = graphOf([ENTRY]);
  const lazy = [...files].flatMap((path) =>
    [...readFileSync(join(ROOT, path), "utf8").matchAll(/\bimport\("(\.[^"]+)"\)/g)].map(
      ([, from = ""]) => join(dirname(path), from),
    ),
  );
  expect([...new Set(lazy)].sort()).toEqual(Object.keys(LAZY).sort());
});

test("what a probe loads is small", async () => {
  const bytes = await bytesOf(join(ROOT, ENTRY));
  expect(bytes).toBeLessThan(BYTES_MAX);
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
