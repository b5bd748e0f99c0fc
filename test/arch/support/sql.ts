/** No value is ever concatenated into SQL: what an interpolation may hold, and what may be sent. */
import {
  argumentsAt,
  callsOf,
  placeOf,
  type Source,
  type Span,
  scan,
  type Template,
} from "./source.ts";

/** A piece of SQL text that is no value, although nothing in its file shows that. */
export interface Constant {
  readonly path: string;
  readonly text: string;
  readonly reason: string;
}

const QUOTING =
  /^(?:quoteIdentifier|quoteLedger|integerLiteral|digestLiteral|keyArguments)\((?:[^()]|\([^()]*\))*\)$/;
const SENDING = /\.(?:run|bind|unsafe)\(/g;
/** Where a text stands as the value of an expression: first, in a choice, as an arrow's result. */
const LITERAL_VALUE = /(?:^|[?:]\s+|=>\s*)["'`]/;

/**
 * Interpolations into SQL, and texts sent, that are no literal, no call of a quoting function, no
 * constant or function of the same file that is made of these, and not listed. Where db/ sends
 * anything, every template counts as SQL, but for the messages of errors.
 */
export function concatenations(
  source: Source,
  constants: readonly Constant[],
  others: readonly Source[] = [],
): readonly string[] {
  const scanned = scan(source.text);
  const textOf = (span: Span): string => source.text.slice(span.start, span.end).trim();
  const isKnown = (text: string): boolean =>
    QUOTING.test(text) ||
    isMade(source, text, others) ||
    constants.some((each) => each.path === source.path && each.text === text);
  const sent = callsOf(scanned, SENDING).flatMap((at) => argumentsAt(scanned, at).slice(0, 1));
  const isOfDb = source.path.startsWith("src/db/") && sent.length > 0;
  const messages = callsOf(scanned, /Error\(/g).flatMap((at) => argumentsAt(scanned, at));
  const isWithin = (template: Template, spans: readonly Span[]): boolean =>
    spans.some(({ start, end }) => start <= template.start && template.end <= end);
  const holes = scanned.templates
    .filter((each) => isWithin(each, sent) || (isOfDb && !isWithin(each, messages)))
    .flatMap((template) => template.holes);
  return [
    ...sent
      .filter((span) => !/^["'`]/.test(textOf(span)) && !isKnown(textOf(span)))
      .map((span) => `${placeOf(source, span.start)} sends ${textOf(span)}`),
    ...holes
      .filter((hole) => !isKnown(textOf(hole)))
      .map((hole) => `${placeOf(source, hole.start)} puts ${textOf(hole)} into SQL`),
  ];
}

/**
 * `NAME` or `name(…)`: what it stands for is text of this file, or of the one that it is imported from,
 * whose own holes are looked at.
 */
function isMade(source: Source, expression: string, others: readonly Source[]): boolean {
  const [, name, call] = /^(\w+)(\([\w., ]*\))?$/.exec(expression) ?? [];
  if (name === undefined) return false;
  const { text } = source;
  const values = call === undefined ? initializers(text, name) : returned(text, name);
  const isText = (value: string): boolean =>
    LITERAL_VALUE.test(value) || QUOTING.test(value) || isMade(source, value, others);
  if (values.length > 0) return values.every(isText);
  const origin = originOf(source, name, others);
  return origin !== undefined && isMade(origin, expression, others);
}

/** Of the same folder: no other has SQL. */
function originOf(source: Source, name: string, others: readonly Source[]): Source | undefined {
  for (const [, names = "", file = ""] of source.text.matchAll(
    /^import \{([^}]*)\} from "\.\/([^"]+)";/gm,
  )) {
    if (!new RegExp(`\\b${name}\\b`).test(names)) continue;
    const path = source.path.replace(/[^/]*$/, file);
    return others.find((each) => each.path === path);
  }
  return undefined;
}

function initializers(text: string, name: string): readonly string[] {
  const declared = new RegExp(`\\bconst ${name}(?:: \\w+)? =\\s+([^;]*);`, "g");
  return [...text.matchAll(declared)].map(([, value]) => (value ?? "").trim());
}

function returned(text: string, name: string): readonly string[] {
  const declared = new RegExp(`\\bfunction ${name}\\([^)]*\\): string \\{\n([\\s\\S]*?)\n\\}`);
  const body = declared.exec(text)?.[1] ?? "";
  return [...body.matchAll(/\breturn ([^;]*);/g)].map(([, value]) => (value ?? "").trim());
}
