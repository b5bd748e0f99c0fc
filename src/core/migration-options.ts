/** Options of a migration: `key:value` words on a marker line or on the first line. */

import { parseDurationMs } from "./duration.ts";
import type { MigrationOptions } from "./migration.ts";

/** A `key:value` word as it stands in the file. */
export interface OptionWord {
  readonly text: string;
  /** Where it stands in the file, in UTF-16 code units. */
  readonly offset: number;
}

/** What is wrong at a place of the file. */
export interface Problem {
  readonly offset: number;
  readonly message: string;
}

/** Options, and every problem found on the way; with a problem the options are not to be used. */
export interface OptionsReading {
  readonly options: MigrationOptions;
  readonly problems: readonly Problem[];
}

type Change = Partial<MigrationOptions>;
/** Gives the change that a value makes, or undefined for a value that cannot be read. */
type ValueReader = (value: string) => Change | undefined;

const DEFAULTS: MigrationOptions = {
  transaction: true,
  lockTimeoutMs: undefined,
  statementTimeoutMs: undefined,
  breaking: false,
  acceptTimeouts: false,
};
/** PostgreSQL holds timeouts in 32-bit integers of milliseconds: about 24 days. */
const TIMEOUT_MAX_MS = 2_147_483_647;
const A_BOOLEAN = "true or false";
const A_DURATION = "a duration of at most 24 days, as in 500ms, 3s, 15m, 2h";

const OPTIONS: ReadonlyMap<string, { readonly read: ValueReader; readonly expected: string }> =
  new Map([
    ["transaction", { read: booleanAs("transaction"), expected: A_BOOLEAN }],
    ["lock_timeout", { read: timeoutAs("lockTimeoutMs"), expected: A_DURATION }],
    ["statement_timeout", { read: timeoutAs("statementTimeoutMs"), expected: A_DURATION }],
    ["breaking", { read: booleanAs("breaking"), expected: A_BOOLEAN }],
    ["accept-timeouts", { read: booleanAs("acceptTimeouts"), expected: A_BOOLEAN }],
  ]);

/** True for the name of an option. */
export function isOptionKey(key: string): boolean {
  return OPTIONS.has(key);
}

/** Reads all option words of a file; every word that is wrong gives one problem. */
export function parseOptions(words: readonly OptionWord[]): OptionsReading {
  const problems: Problem[] = [];
  const seen = new Set<string>();
  let options = DEFAULTS;
  for (const word of words) {
    const [key = "", value] = splitOnce(word.text);
    const reading = readOption(key, value);
    if (typeof reading === "string") problems.push({ offset: word.offset, message: reading });
    else if (seen.has(key))
      problems.push({ offset: word.offset, message: `option "${key}" is given twice` });
    else options = { ...options, ...reading };
    seen.add(key);
  }
  return { options, problems };
}

/** The change an option makes, or a sentence about what is wrong with it. */
function readOption(key: string, value: string | undefined): Change | string {
  if (value === undefined) return `"${key}" is not an option: options are key:value`;
  const option = OPTIONS.get(key);
  if (option === undefined)
    return `unknown option "${key}"; known are ${[...OPTIONS.keys()].join(", ")}`;
  return option.read(value) ?? `option "${key}" is not ${option.expected}`;
}

function splitOnce(text: string): readonly [key: string, value: string | undefined] {
  const colon = text.indexOf(":");
  return colon < 0 ? [text, undefined] : [text.slice(0, colon), text.slice(colon + 1)];
}

function booleanAs(field: "transaction" | "breaking" | "acceptTimeouts"): ValueReader {
  return (value) => {
    if (value !== "true" && value !== "false") return undefined;
    return { [field]: value === "true" };
  };
}

function timeoutAs(field: "lockTimeoutMs" | "statementTimeoutMs"): ValueReader {
  return (value) => {
    const ms = parseDurationMs(value);
    return ms === undefined || ms > TIMEOUT_MAX_MS ? undefined : { [field]: ms };
  };
}
