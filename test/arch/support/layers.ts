/** What each layer may import and name. The table is the one of the architecture. */
import { dirname, join } from "node:path";
import { placeOf, type Scan, type Source, scan } from "./source.ts";

interface Layer {
  readonly layers: readonly string[];
  /** Packages, and files outside of src/. */
  readonly outside: readonly (string | RegExp)[];
}

/** Other places of the same layer are always allowed, but for ports.ts, which is one file. */
export const LAYERS: Readonly<Record<string, Layer>> = {
  core: { layers: [], outside: [] },
  ports: { layers: [], outside: [] },
  config: { layers: ["core"], outside: ["valibot"] },
  log: { layers: ["ports"], outside: [] },
  embed: { layers: ["core"], outside: [/^migrations\/[^/]+\.sql$/] },
  db: { layers: ["core", "ports"], outside: ["postgres", "valibot", "node:net", "node:tls"] },
  flow: { layers: ["core", "ports", "db"], outside: [] },
  cli: { layers: ["core", "ports", "config", "flow"], outside: ["cac", "valibot"] },
  wire: { layers: ["core", "ports"], outside: [] },
  runtime: { layers: ["core", "ports"], outside: [/^node:/] },
  main: {
    layers: ["core", "ports", "config", "log", "embed", "db", "flow", "cli", "wire", "runtime"],
    outside: ["node:timers/promises"],
  },
};

/** Single files that may more than their layer. */
const MORE: Readonly<Record<string, readonly string[]>> = {
  "src/core/checksum.ts": ["node:crypto"],
};

/** `src/core/head.ts` is in `core`, `src/main.ts` in `main`; undefined: in no known layer. */
export function layerOf(path: string): string | undefined {
  const [, name] = /^src\/([a-z-]+)(?:\/|\.ts$)/.exec(path) ?? [];
  return name !== undefined && name in LAYERS ? name : undefined;
}

/** Static and dynamic imports and re-exports that the table does not allow, each with its place. */
export function forbiddenImports(source: Source): readonly string[] {
  const layer = layerOf(source.path);
  if (layer === undefined) return [`${source.path}:1 is in no layer of the table`];
  return importsOf(source).flatMap(({ offset, specifier }) => {
    const isAllowed = specifier !== undefined && mayImport(source.path, layer, specifier);
    const what = specifier === undefined ? "a computed path" : JSON.stringify(specifier);
    return isAllowed ? [] : [`${placeOf(source, offset)} imports ${what}, which ${layer} may not`];
  });
}

interface Import {
  readonly offset: number;
  readonly specifier: string | undefined;
}

function importsOf(source: Source): readonly Import[] {
  const { code } = scan(source.text);
  const named = [...code.matchAll(/\b(?:from|import)\s*\(?\s*(["'])( *)\1/g)].map(
    (match): Import => {
      const end = match.index + match[0].length - 1;
      return {
        offset: match.index,
        specifier: source.text.slice(end - (match[2] ?? "").length, end),
      };
    },
  );
  const computed = [
    ...code.matchAll(/(?<![.\w])import\s*\(\s*(?!["'\s])|(?<![.\w])require\s*\(/g),
  ].map((match): Import => ({ offset: match.index, specifier: undefined }));
  return [...named, ...computed];
}

function mayImport(path: string, layer: string, specifier: string): boolean {
  const { layers, outside } = LAYERS[layer] ?? { layers: [], outside: [] };
  const target = specifier.startsWith(".") ? join(dirname(path), specifier) : specifier;
  if (target.startsWith("src/")) {
    const other = layerOf(target);
    return other !== undefined && (other === layer || layers.includes(other));
  }
  if (MORE[path]?.includes(target)) return true;
  return outside.some((each) => (typeof each === "string" ? each === target : each.test(target)));
}

type Words = readonly (readonly [pattern: RegExp, name: string])[];

const PROCESS: Words = [[/(?<![.\w$])process\b(?!\s*:)/g, "process"]];
const GLOBALS: Words = [
  [/(?<![.\w$])Bun\b/g, "Bun"],
  [/(?<![.\w$])Deno\b/g, "Deno"],
  [/(?<![.\w$])console\b/g, "console"],
  [/(?<![.\w$])globalThis\b/g, "globalThis"],
];
const IMPURE: Words = [
  [/\basync\b/g, "async"],
  [/\bawait\b/g, "await"],
  [/\bPromise\b/g, "Promise"],
  [/\bDate\s*\.\s*now\b/g, "Date.now"],
  [/\bDate\s*\(\s*\)/g, "Date()"],
  [/\bperformance\b/g, "performance"],
  [/\bMath\s*\.\s*random\b/g, "Math.random"],
  [/\brandomUUID\b|\bgetRandomValues\b|\brandomBytes\b/g, "randomness"],
  [/\bset(?:Timeout|Interval|Immediate)\b|\bqueueMicrotask\b/g, "a timer"],
  [/\bfetch\s*\(/g, "fetch"],
];

/** Names of the runtime, and in core/ names of time, chance and waiting. */
export function forbiddenNames(source: Source): readonly string[] {
  const layer = layerOf(source.path);
  const words = [
    ...(layer === "main" ? [] : PROCESS),
    ...(layer === "main" || layer === "runtime" ? [] : GLOBALS),
    ...(layer === "core" ? IMPURE : []),
  ];
  const scanned = scan(source.text);
  return words.flatMap(([pattern, name]) => uses(source, scanned, pattern, name));
}

function uses(source: Source, { code }: Scan, pattern: RegExp, name: string): readonly string[] {
  return [...code.matchAll(pattern)].map(
    (match) =>
      `${placeOf(source, match.index)} uses ${name}, which ${layerOf(source.path)} may not`,
  );
}

/** Re-exports of other files, and file names that say nothing. */
export function barrels(source: Source): readonly string[] {
  const { code } = scan(source.text);
  const exported = [...code.matchAll(/\bexport\s+(?:type\s+)?(?:\*|\{[^}]*\}\s*from\b)/g)];
  const named = /\/(?:utils?|common|helpers?|types|index|misc)\.ts$/.test(source.path);
  return [
    ...exported.map((match) => `${placeOf(source, match.index)} re-exports another file`),
    ...(named ? [`${source.path}:1 has a name that says nothing`] : []),
  ];
}

/** @param limits For files that may be longer than `lines`. */
export function tooLong(
  source: Source,
  lines: number,
  limits: Readonly<Record<string, { readonly lines: number }>>,
): readonly string[] {
  const count = source.text.trimEnd().split("\n").length;
  const limit = limits[source.path]?.lines ?? lines;
  return count > limit
    ? [`${source.path}:${limit + 1} goes on: ${count} lines, ${limit} at most`]
    : [];
}
