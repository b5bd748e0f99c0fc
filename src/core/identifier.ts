/** Names that go into SQL text. Everything else travels as a bind parameter. */
import { DIGITS, isMadeOf, LOWER_CASE } from "./ascii.ts";
import type { LedgerName, LedgerPlace } from "./ledger.ts";

/** PostgreSQL cuts longer names silently, and two ledgers would become one. */
const NAME_LIMIT_BYTES = 63;

/**
 * A name as SQL text, whatever it holds.
 *
 * @example `quoteIdentifier('we"ird')` is `"we""ird"`
 */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** As SQL text, ready to stand after `from`. */
export function quoteLedger(ledger: LedgerName | LedgerPlace): string {
  const table = quoteIdentifier(ledger.table);
  return ledger.schema === undefined ? table : `${quoteIdentifier(ledger.schema)}.${table}`;
}

/** A whole number as SQL text, for the places that the simple protocol gives no bind parameter. */
export function integerLiteral(value: number | bigint): string {
  if (typeof value !== "bigint" && !Number.isSafeInteger(value)) {
    throw new RangeError(`not a whole number: ${value}`);
  }
  return String(value);
}

/** A SHA-256 in lower-case hex as SQL text, quoted, for the same places. */
export function digestLiteral(digest: string): string {
  if (!/^[0-9a-f]{64}$/.test(digest)) throw new RangeError(`not a digest: ${digest}`);
  return `'${digest}'`;
}

/**
 * Reads `table`, `schema.table`, either part quoted; unquoted parts fold to lower case as the
 * server folds them. Undefined when it is none of these.
 */
export function parseLedgerName(text: string): LedgerName | undefined {
  const first = parsePart(text);
  if (!first) return undefined;
  if (first.rest === "") return { schema: undefined, table: first.name };
  if (!first.rest.startsWith(".")) return undefined;
  const second = parsePart(first.rest.slice(1));
  if (second?.rest !== "") return undefined;
  return { schema: first.name, table: second.name };
}

function parsePart(text: string): { readonly name: string; readonly rest: string } | undefined {
  if (isPlainName(text)) return { name: text, rest: "" };
  const match = /^(?:"((?:[^"\0]|"")+)"|([\p{L}_][\p{L}\p{N}_$]*))/u.exec(text);
  if (!match) return undefined;
  const name = match[1]?.replaceAll('""', '"') ?? match[2]?.toLowerCase() ?? "";
  if (new TextEncoder().encode(name).length > NAME_LIMIT_BYTES) return undefined;
  return { name, rest: text.slice(match[0].length) };
}

/** As most are: nothing to unquote and nothing to fold, and a class of all letters costs more than a look. */
function isPlainName(text: string): boolean {
  const isName = isMadeOf(text, "_", LOWER_CASE + DIGITS) && text !== "";
  return isName && !DIGITS.includes(text.charAt(0)) && text.length <= NAME_LIMIT_BYTES;
}
