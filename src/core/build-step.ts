/**
 * The statements of a migration that runs outside a transaction, and which of them another runner
 * can finish by itself when the first one died in the middle.
 */
import type { Section } from "./migration.ts";
import type { Token } from "./sql-lexer.ts";
import { parenthesisStep, splitStatements, symbolOf, upperWord } from "./sql-statements.ts";

/** What a statement does, as far as its repetition can be made safe. */
export type BuildStep =
  | {
      readonly kind: "create-index";
      /** The index's name as the server folds it; undefined: the statement names none. */
      readonly index: string | undefined;
      /** As it stands in the statement, without space: `"Sales".orders`. */
      readonly table: string;
      readonly isUnique: boolean;
      readonly isIfNotExists: boolean;
    }
  /** Names as they stand in the statement. */
  | { readonly kind: "drop-index"; readonly index: string }
  | { readonly kind: "reindex"; readonly relation: string }
  | { readonly kind: "validate" }
  /** Running it twice may do harm. */
  | { readonly kind: "other" };

/** One statement, to be sent alone. */
export interface BuildStatement {
  /** Without the closing `;` a statement is the same; here it is as in the file. */
  readonly sql: string;
  /** Where it starts in the file, in UTF-16 code units. */
  readonly start: number;
  readonly step: BuildStep;
  /** True when nothing of it stays if it is cancelled: one transaction, from beginning to end. */
  readonly isAtomic: boolean;
}

/**
 * The statements of a section, in order.
 *
 * @example
 * ```ts
 * buildStatements({ sql: "vacuum a; vacuum b", start: 0 }).map(({ sql }) => sql); // ["vacuum a;", "vacuum b"]
 * ```
 */
export function buildStatements({ sql, start }: Section): readonly BuildStatement[] {
  return splitStatements(sql).map((statement) => ({
    sql: sql.slice(statement.start, statement.end),
    start: start + statement.start,
    step: stepOf(sql, statement.tokens),
    isAtomic: isAtomic(sql, statement.tokens),
  }));
}

/** They may commit in their middle. VACUUM does too, and may be repeated at will. */
const COMMITTING: ReadonlySet<string> = new Set(["CALL", "DO", "REINDEX", "CLUSTER"]);

function isAtomic(sql: string, tokens: readonly Token[]): boolean {
  const words = tokens.map((token) => upperWord(sql, token));
  return !COMMITTING.has(words[0] ?? "") && !words.includes("CONCURRENTLY");
}

/** True when a runner may repeat the statement without knowing how far another one got with it. */
export function isRepeatable(step: BuildStep): boolean {
  return step.kind !== "other";
}

/** What the significant tokens of one statement do. */
export function stepOf(sql: string, tokens: readonly Token[]): BuildStep {
  const cursor: Cursor = { sql, tokens, at: 0 };
  if (takeWords(cursor, "CREATE")) return createIndex(cursor);
  if (takeWords(cursor, "DROP", "INDEX", "CONCURRENTLY")) return dropIndex(cursor);
  if (takeWords(cursor, "REINDEX")) return reindex(cursor);
  if (takeWords(cursor, "ALTER", "TABLE")) return validate(cursor);
  return OTHER;
}

const OTHER: BuildStep = { kind: "other" };

interface Cursor {
  readonly sql: string;
  readonly tokens: readonly Token[];
  at: number;
}

function createIndex(cursor: Cursor): BuildStep {
  const isUnique = takeWords(cursor, "UNIQUE");
  if (!takeWords(cursor, "INDEX", "CONCURRENTLY")) return OTHER;
  const isIfNotExists = takeWords(cursor, "IF", "NOT", "EXISTS");
  const isUnnamed = wordAt(cursor, 0) === "ON";
  const index = isUnnamed ? undefined : takeName(cursor);
  if (!takeWords(cursor, "ON")) return OTHER;
  takeWords(cursor, "ONLY");
  const table = takeName(cursor);
  if (table === undefined) return OTHER;
  const name = index === undefined ? undefined : foldName(index);
  return { kind: "create-index", index: name, table, isUnique, isIfNotExists };
}

function dropIndex(cursor: Cursor): BuildStep {
  takeWords(cursor, "IF", "EXISTS");
  const index = takeName(cursor);
  return index === undefined ? OTHER : { kind: "drop-index", index };
}

/** A schema or a database has many indexes, whose state nobody can tell by one look. */
function reindex(cursor: Cursor): BuildStep {
  const isOption = takeReindexOptions(cursor);
  if (!takeWords(cursor, "INDEX") && !takeWords(cursor, "TABLE")) return OTHER;
  if (!takeWords(cursor, "CONCURRENTLY") && !isOption) return OTHER;
  const relation = takeName(cursor);
  return relation === undefined ? OTHER : { kind: "reindex", relation };
}

/** Steps over `(VERBOSE, CONCURRENTLY)`. True when CONCURRENTLY is among them. */
function takeReindexOptions(cursor: Cursor): boolean {
  if (symbolAt(cursor, 0) !== "(") return false;
  let depth = 0;
  let isConcurrent = false;
  for (; cursor.at < cursor.tokens.length; cursor.at += 1) {
    depth += parenthesisStep(symbolAt(cursor, 0));
    if (wordAt(cursor, 0) === "CONCURRENTLY") isConcurrent = !isSwitchedOff(cursor);
    if (depth > 0) continue;
    cursor.at += 1;
    return isConcurrent;
  }
  return false;
}

function isSwitchedOff(cursor: Cursor): boolean {
  const value = wordAt(cursor, 1);
  return value === "FALSE" || value === "OFF";
}

/** Alone: a second action in the same ALTER TABLE may be of any kind. */
function validate(cursor: Cursor): BuildStep {
  takeWords(cursor, "IF", "EXISTS");
  takeWords(cursor, "ONLY");
  const table = takeName(cursor);
  if (table === undefined || !takeWords(cursor, "VALIDATE", "CONSTRAINT")) return OTHER;
  const constraint = takeName(cursor);
  const isAlone = cursor.at === cursor.tokens.length;
  return constraint !== undefined && isAlone ? { kind: "validate" } : OTHER;
}

function takeWords(cursor: Cursor, ...words: readonly string[]): boolean {
  if (!words.every((word, index) => wordAt(cursor, index) === word)) return false;
  cursor.at += words.length;
  return true;
}

function wordAt({ sql, tokens, at }: Cursor, index: number): string {
  return upperWord(sql, tokens[at + index]);
}

function symbolAt({ sql, tokens, at }: Cursor, index: number): string {
  return symbolOf(sql, tokens[at + index]);
}

/** A name with or without its schema, joined without space; undefined when none stands here. */
function takeName(cursor: Cursor): string | undefined {
  const parts: string[] = [];
  for (;;) {
    const token = cursor.tokens[cursor.at];
    if (token?.kind !== "word" && token?.kind !== "quoted-identifier") return undefined;
    parts.push(cursor.sql.slice(token.start, token.end));
    cursor.at += 1;
    if (symbolAt(cursor, 0) !== ".") return parts.join(".");
    cursor.at += 1;
  }
}

/** As the server does: unquoted names fold to lower case, ASCII letters only. `U&"…"` is not read. */
function foldName(name: string): string | undefined {
  if (name.startsWith('"')) return name.slice(1, -1).replaceAll('""', '"');
  if (name.includes('"')) return undefined;
  return name.replace(/[A-Z]+/g, (part) => part.toLowerCase());
}
