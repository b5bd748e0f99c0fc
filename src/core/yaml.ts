/**
 * Plain data as YAML that people read: block style, lists of words on one line. It writes only what
 * is certain to be read back; a text that could be taken for anything else stands in double quotes,
 * as in JSON, which is YAML too.
 */

/** Starts like a word, a path or a flag, and has nothing that YAML gives a meaning to. */
const PLAIN = /^(?:--?)?[A-Za-z/](?:[\w./@:+-]*[\w./@+-])?$/;
/** Words that some reader takes for a truth value or nothing. */
const TAKEN = /^(?:y|n|yes|no|true|false|on|off|null)$/i;
const STEP = "  ";

/** One document; ends in a line end. @param data Objects, lists, texts, numbers, truth values. */
export function renderYaml(data: object): string {
  return `${blockOf(data).join("\n")}\n`;
}

function blockOf(data: unknown): readonly string[] {
  if (Array.isArray(data)) return data.flatMap(itemOf);
  return entriesOf(data).flatMap(([key, value]) => entryOf(scalar(key), value));
}

function itemOf(item: unknown): readonly string[] {
  if (isInline(item)) return [`- ${inline(item)}`];
  const [first = "", ...others] = blockOf(item);
  return [`- ${first}`, ...others.map((line) => STEP + line)];
}

function entryOf(key: string, value: unknown): readonly string[] {
  if (isInline(value)) return [`${key}: ${inline(value)}`];
  return [`${key}:`, ...blockOf(value).map((line) => STEP + line)];
}

function isInline(value: unknown): boolean {
  if (Array.isArray(value)) return value.every((item) => typeof item !== "object");
  return typeof value !== "object" || entriesOf(value).length === 0;
}

function inline(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(scalar).join(", ")}]`;
  return typeof value === "object" ? "{}" : scalar(value);
}

function scalar(value: unknown): string {
  if (typeof value !== "string") return String(value);
  return PLAIN.test(value) && !TAKEN.test(value) ? value : JSON.stringify(value);
}

function entriesOf(data: unknown): readonly [string, unknown][] {
  return Object.entries(data as object).filter(([, value]) => value !== undefined);
}
