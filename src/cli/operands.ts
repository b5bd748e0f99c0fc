/** The words behind a command: `down N`, `locks release PID`, `resolve VERSION`, `manifest FORMAT`, `install FOLDER`. */
import type { CommandName } from "../config/commands.ts";
import { nearest } from "./nearest.ts";
import { usage } from "./usage-error.ts";

/** What the words behind the command name. */
export interface Operands {
  /** `down N`: how many. */
  readonly count: number;
  /** `locks release PID`, `resolve VERSION`; undefined: the command was given none. */
  readonly target: number | undefined;
  /** `manifest FORMAT`, which always has one. */
  readonly format?: Format;
  /** `install FOLDER`. */
  readonly folder?: string;
}

/** What `manifest` prints. */
export type Format = "kubernetes" | "kustomize" | "helm" | "compose";

const FORMATS: readonly Format[] = ["kubernetes", "kustomize", "helm", "compose"];

const RELEASE = "release";
const PID_MAX = 2 ** 31 - 1;

/** As the help shows them. */
export const SIGNATURES: Readonly<Partial<Record<CommandName, string>>> = {
  down: " [N]",
  locks: " [release PID]",
  resolve: " VERSION",
  manifest: " FORMAT",
  install: " FOLDER",
};

/** Reads them. @throws {HeadgateError} `usage` for a surplus, missing or malformed word */
export function readOperands(command: CommandName, words: readonly string[]): Operands {
  switch (command) {
    case "down":
      return { count: readCount(only(command, words)), target: undefined };
    case "resolve":
      return { count: 1, target: readVersion(only(command, words)) };
    case "manifest":
      return { count: 1, target: undefined, format: readFormat(only(command, words)) };
    case "install":
      return { count: 1, target: undefined, folder: readFolder(only(command, words)) };
    case "locks":
      return { count: 1, target: readHolder(words) };
    default:
      if (words[0] !== undefined) throw surplus(command, words[0]);
      return { count: 1, target: undefined };
  }
}

function only(command: CommandName, [first, second]: readonly string[]): string | undefined {
  if (second !== undefined) throw surplus(command, second);
  return first;
}

function readFormat(word: string | undefined): Format {
  const format = FORMATS.find((each) => each === word);
  if (format !== undefined) return format;
  const found = word === undefined ? "none is given" : `not "${word}"`;
  const near = nearest(word ?? "", FORMATS);
  throw usage(
    `manifest takes ${FORMATS.join(", ")}, ${found}`,
    near && `Did you mean "headgate manifest ${near}"?`,
  );
}

function readCount(word: string | undefined): number {
  if (word === undefined) return 1;
  const count = toWhole(word);
  if (count !== undefined && count >= 1) return count;
  throw usage(`down takes how many to revert, 1 or more, not "${word}"`);
}

function readVersion(word: string | undefined): number {
  const version = toWhole(word ?? "");
  if (version !== undefined) return version;
  const found = word === undefined ? "none is given" : `not "${word}"`;
  throw usage(`resolve takes the version of the row to settle, ${found}`);
}

function readFolder(word: string | undefined): string {
  if (word !== undefined && word !== "") return word;
  throw usage("install takes the folder to copy to, none is given");
}

function readHolder([action, word, ...others]: readonly string[]): number | undefined {
  if (action === undefined) return undefined;
  if (action !== RELEASE) {
    const hint = nearest(action, [RELEASE]) && 'Did you mean "headgate locks release PID"?';
    throw usage(`locks takes no argument "${action}"`, hint);
  }
  if (others[0] !== undefined) throw surplus("locks release", others[0]);
  const pid = toWhole(word ?? "");
  if (pid !== undefined && pid >= 1 && pid <= PID_MAX) return pid;
  const found = word === undefined ? "none is given" : `not "${word}"`;
  throw usage(`locks release takes the pid of a holder, ${found}`, 'Run "headgate locks" for them');
}

function toWhole(word: string): number | undefined {
  const value = /^\d+$/.test(word) ? Number(word) : Number.NaN;
  return Number.isSafeInteger(value) ? value : undefined;
}

function surplus(command: string, word: string): Error {
  return usage(`${command} takes no argument "${word}"`);
}
