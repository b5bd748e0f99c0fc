/** Wording of errors: `Cannot <action>: <what is in the way>`. */
import { argumentsAt, callsOf, placeOf, type Source, scan } from "./source.ts";

/** A function that makes a HeadgateError out of the text at `argument`. */
export interface Maker {
  readonly path: string;
  readonly call: string;
  readonly argument: number;
  /** False: the function itself puts `Cannot …: ` before it. */
  readonly isWhole: boolean;
}

/** Stands for an interpolation. */
const HOLE = "\0";
const CONTRACTION =
  /\b\w+n['’]t\b|\b(?:it|that|there|here|what|who|let)['’]s\b|\b\w+['’](?:re|ve|ll|d|m)\b|\bcannot not\b/i;

/** Messages of `new HeadgateError(…)` and of its makers that break a rule. */
export function badMessages(source: Source, makers: readonly Maker[]): readonly string[] {
  const scanned = scan(source.text);
  const direct = { path: "", call: "new HeadgateError", argument: 0, isWhole: true };
  const ours = makers.filter(({ path }) => path === "" || path === source.path);
  return [direct, ...ours].flatMap((maker) =>
    callsOf(scanned, new RegExp(`(?<![.\\w])(?<!function )${maker.call}\\(`, "g")).flatMap(
      (start) => {
        const span = argumentsAt(scanned, start)[maker.argument];
        const argument = source.text.slice(span?.start ?? start, span?.end ?? start).trim();
        if (isPassedOn(argument, source, ours)) return [];
        return problemsOf(textOf(source, argument), maker.isWhole).map(
          (problem) => `${placeOf(source, start)} ${problem}: ${argument.slice(0, 60)}`,
        );
      },
    ),
  );
}

/** A plain parameter is looked at where the maker is called; a list of files' problems is no sentence. */
function isPassedOn(argument: string, source: Source, makers: readonly Maker[]): boolean {
  const isMaker = makers.some(({ path }) => path === source.path);
  return isMaker && (argument === "message" || argument.startsWith("problems.join("));
}

/** Follows a name to its literal in the same file. */
function textOf(source: Source, argument: string): string | undefined {
  const name = /^(\w+)(?:\.join\(.*\))?$/.exec(argument)?.[1];
  if (name === undefined) return literalText(source, argument);
  const found = new RegExp(`const ${name}(?:: [^=]+)? = \\[?\\s*(["\`].*)`).exec(source.text)?.[1];
  return found === undefined ? undefined : literalText(source, found);
}

function literalText(source: Source, argument: string): string | undefined {
  const [, quote, body] = /^(["`])(.*)\1[\])};,]*$/s.exec(argument) ?? [];
  if (quote === undefined || body === undefined) return undefined;
  const constant = /^\$\{([A-Z_]+)\}/.exec(body)?.[1];
  const start = constant === undefined ? "" : (textOf(source, constant) ?? "");
  return start + body.replace(/^\$\{[A-Z_]+\}/, "").replace(/\$\{(?:[^{}]|\{[^}]*\})*\}/g, HOLE);
}

function problemsOf(text: string | undefined, isWhole: boolean): readonly string[] {
  if (text === undefined) return ["is no literal that this check can follow"];
  return [
    isWhole && !text.startsWith("Cannot ") ? "does not begin with Cannot" : "",
    /\.\s*$/.test(text) ? "ends in a period" : "",
    CONTRACTION.test(text) ? "has a contraction" : "",
  ].filter((problem) => problem !== "");
}

/** Codes of errors that some file gives to an error. */
export function codesIn(source: Source): readonly string[] {
  const given = /\bcode(?::(?: ErrorCode =)?| =)[^,;}\n]*|\bstop\("[a-z-]+"/g;
  return [...source.text.matchAll(given)].flatMap(([text]) =>
    [...text.matchAll(/"([a-z-]+)"/g)].map(([, code]) => code ?? ""),
  );
}

/** The members of `ErrorCode`, as `core/error.ts` declares them. */
export function declaredCodes(text: string): readonly string[] {
  const type = /export type ErrorCode =([\s\S]*?);\n/.exec(text)?.[1] ?? "";
  return [...type.matchAll(/^\s*\| "([a-z-]+)"/gm)].map(([, code]) => code ?? "");
}
