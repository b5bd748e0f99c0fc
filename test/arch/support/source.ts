/** Source text as the checks see it. Every check is a pure function of it, so that each can be shown to go red. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** The repository. */
export const ROOT: string = join(import.meta.dirname, "../../..");

export interface Source {
  /** From the repository's root: `src/core/head.ts`. */
  readonly path: string;
  readonly text: string;
}

/** A piece of a file: half-open offsets. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export interface Template extends Span {
  /** What stands in `${}`, without the braces. */
  readonly holes: readonly Span[];
}

export interface Scan {
  /** The text with comments, strings, regular expressions and template texts blanked; quotes and offsets stay. */
  readonly code: string;
  readonly templates: readonly Template[];
}

/** The files of src/, declarations of foreign modules left out. */
export function sources(folder = "src"): readonly Source[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts") && !file.endsWith(".d.ts"))
    .map((file) => join(folder, file))
    .sort()
    .map((path) => ({ path, text: readFileSync(join(ROOT, path), "utf8") }));
}

/** `src/core/head.ts:12`, for messages that an editor can jump to. */
export function placeOf(source: Source, offset: number): string {
  return `${source.path}:${source.text.slice(0, offset).split("\n").length}`;
}

/** After one of these a slash begins a regular expression and is no division. */
const BEFORE_REGEX =
  /(?:^|[(,=:[!&|?{};+*%<>~^-]|\b(?:return|typeof|case|in|of|throw|void|await))\s*$/;
const LITERALS: readonly RegExp[] = [
  /\/\/.*/y,
  /\/\*[\s\S]*?\*\//y,
  /"(?:\\.|[^"\\\n])*"/y,
  /'(?:\\.|[^'\\\n])*'/y,
];
const REGEX = /\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*/y;

const BRACES: Readonly<Record<string, number>> = { "{": 1, "}": -1 };
const NESTING: Readonly<Record<string, number>> = { ...BRACES, "(": 1, "[": 1, ")": -1, "]": -1 };
const scans = new Map<string, Scan>();

/** Splits a TypeScript file into code and everything else. No parser: enough for formatted code. */
export function scan(text: string): Scan {
  const known = scans.get(text);
  if (known) return known;
  const scanned = scanAnew(text);
  scans.set(text, scanned);
  return scanned;
}

interface Reader {
  readonly text: string;
  readonly code: string[];
  readonly templates: Template[];
  at: number;
}

function scanAnew(text: string): Scan {
  const reader: Reader = { text, code: text.split(""), templates: [], at: 0 };
  readCode(reader, "");
  return { code: reader.code.join(""), templates: reader.templates };
}

/** Up to the end, or to an `until` that no brace of this code has opened. */
function readCode(reader: Reader, until: string): void {
  const { text } = reader;
  let depth = 0;
  while (reader.at < text.length) {
    const character = text[reader.at] ?? "";
    if (character === until && depth === 0) return;
    if (skipLiteral(reader)) continue;
    depth += BRACES[character] ?? 0;
    reader.at += 1;
  }
}

function readTemplate(reader: Reader): void {
  const { text } = reader;
  const [start, holes] = [reader.at, [] as Span[]];
  reader.at += 1;
  while (reader.at < text.length && text[reader.at] !== "`") {
    if (text.startsWith("${", reader.at)) holes.push(readHole(reader));
    else blankTo(reader, reader.at + (text[reader.at] === "\\" ? 2 : 1));
  }
  reader.at += 1;
  reader.templates.push({ start, end: reader.at, holes });
}

function readHole(reader: Reader): Span {
  const start = reader.at + 2;
  reader.at = start;
  readCode(reader, "}");
  reader.at += 1;
  return { start, end: reader.at - 1 };
}

/** Blanks a comment, string, template or regular expression if one begins here. */
function skipLiteral(reader: Reader): boolean {
  if (reader.text[reader.at] === "`") {
    readTemplate(reader);
    return true;
  }
  const end = literalEnd(reader);
  if (end === undefined) return false;
  const quote = reader.text[reader.at] === "/" ? 0 : 1;
  reader.at += quote;
  blankTo(reader, end - quote);
  reader.at = end;
  return true;
}

function blankTo(reader: Reader, end: number): void {
  for (; reader.at < end; reader.at += 1) {
    if (reader.code[reader.at] !== "\n") reader.code[reader.at] = " ";
  }
}

function literalEnd({ text, at, code }: Reader): number | undefined {
  if (!"/\"'".includes(text[at] ?? " ")) return undefined;
  for (const pattern of LITERALS) {
    pattern.lastIndex = at;
    if (pattern.test(text)) return pattern.lastIndex;
  }
  REGEX.lastIndex = at;
  const before = code.slice(Math.max(0, at - 40), at).join("");
  return BEFORE_REGEX.test(before) && REGEX.test(text) ? REGEX.lastIndex : undefined;
}

/** The arguments of the call whose `(` stands before `start`, as they are written. */
export function argumentsAt({ code }: Scan, start: number): readonly Span[] {
  const cuts = [start - 1];
  let depth = 0;
  for (let at = start; depth >= 0 && at < code.length; at += 1) {
    depth += NESTING[code[at] ?? ""] ?? 0;
    if (depth < 0 || (depth === 0 && code[at] === ",")) cuts.push(at);
  }
  return cuts
    .slice(1)
    .map((end, i): Span => ({ start: (cuts[i] ?? 0) + 1, end }))
    .filter((span) => code.slice(span.start, span.end).trim() !== "");
}

/** Offsets behind the `(` of every call that `pattern`, which ends in `\(`, finds in code. */
export function callsOf(scanned: Scan, pattern: RegExp): readonly number[] {
  return [...scanned.code.matchAll(pattern)].map((match) => match.index + match[0].length);
}
