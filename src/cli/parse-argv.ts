/**
 * argv becomes an Invocation or a usage error. cac only parses: left to itself it answers an unknown
 * command with exit status 0, and a misspelt startup probe would pass for ever.
 */
import { type CAC, cac } from "cac";
import { ALIASES, COMMANDS, type CommandName } from "../config/commands.ts";
import type { Flags } from "../config/read-settings.ts";
import { SETTINGS, type Setting, type SettingName } from "../config/settings.ts";
import type { HeadgateError } from "../core/error.ts";
import { nearest } from "./nearest.ts";
import { type Operands, readOperands, SIGNATURES } from "./operands.ts";
import { usage } from "./usage-error.ts";

/** What the command line asks for. Flags are texts still: `config/config.ts` reads them. */
export type Invocation =
  | { readonly kind: "help"; readonly topic: CommandName | undefined }
  | { readonly kind: "version" }
  | (Operands & {
      readonly kind: "command";
      readonly command: CommandName;
      readonly flags: Flags;
    });

/** cac turns `0012` into 12 and `1e3` into 1000; behind this character nothing is a number. */
const GUARD = "\u0001";
/** The parser would take it for a `--ledger` that is off, so it gets to see another word. */
const NO_LEDGER = "no-ledger";
const LEDGERLESS = "ledgerless";

/**
 * Reads the whole command line.
 *
 * @throws {HeadgateError} `usage`, with a suggestion where one is near
 */
export function parseArgv(argv: readonly string[]): Invocation {
  const { command, args, options } = match(argv);
  if (command === undefined && args[0] !== undefined) throw unknownCommand(unguard(`${args[0]}`));
  if (options["help"] === true || options["h"] === true) return { kind: "help", topic: command };
  if (command === undefined) {
    if (options["version"] === true || options["v"] === true) return { kind: "version" };
    throw usage("no command is given");
  }
  const flags = readFlags(command, options);
  const behindDashes = (options["--"] ?? []) as readonly unknown[];
  const words = [...args, ...behindDashes].map((word) => unguard(String(word)));
  return { kind: "command", command, flags, ...readOperands(command, words) };
}

/** The command that argv names, also when the rest of it cannot be read. */
export function commandOf(argv: readonly string[]): CommandName | undefined {
  return match(argv).command;
}

interface Match extends Pick<CAC, "args" | "options"> {
  readonly command: CommandName | undefined;
}

/** cac answers with the word that was typed: an alias stays an alias. */
function match(argv: readonly string[]): Match {
  const bare = argv.length === 1 ? bareCommand(argv[0] ?? "") : undefined;
  if (bare) return { command: bare, args: [], options: {} };
  const cli = describeCli();
  const words = joinSwitches(argv).map(guard).map(disguise);
  const { args, options } = cli.parse(["", "", ...words], { run: false });
  const name = cli.matchedCommandName;
  const command = name === undefined ? undefined : (ALIASES[name] ?? (name as CommandName));
  return { command, args, options };
}

/** A bare command, as a probe's mostly is, needs no parser. */
function bareCommand(word: string): CommandName | undefined {
  if (Object.hasOwn(COMMANDS, word)) return word as CommandName;
  return Object.hasOwn(ALIASES, word) ? ALIASES[word] : undefined;
}

function describeCli(): CAC {
  const cli = cac("headgate");
  cli.option("-h, --help", "").option("-v, --version", "");
  for (const name of Object.keys(COMMANDS) as CommandName[]) describeCommand(cli, name);
  return cli;
}

function describeCommand(cli: CAC, name: CommandName): void {
  const words = name in SIGNATURES ? `${name} [...words]` : name;
  const command = cli.command(words, COMMANDS[name]);
  for (const [alias, target] of Object.entries(ALIASES)) {
    if (target === name) command.alias(alias);
  }
  for (const { flag, argument } of settingsOf(name).values()) {
    const word = flag === NO_LEDGER ? LEDGERLESS : flag;
    command.option(argument === undefined ? `--${word}` : `--${word} ${argument}`, "");
  }
}

/** The settings of a command, by their name. */
export function settingsOf(command: CommandName): ReadonlyMap<SettingName, Setting> {
  const entries = Object.entries(SETTINGS) as unknown as readonly [SettingName, Setting][];
  return new Map(entries.filter(([, setting]) => setting.commands.includes(command)));
}

/** And `-o` is a short `--output`, the only one there is. */
function disguise(argument: string): string {
  if (argument === "-o") return "--output";
  return argument.replace(/^--no-ledger(?==|$)/, `--${LEDGERLESS}`);
}

/**
 * `--rolled-back 12` becomes `--rolled-back=true 12`: the parser knows no switch that has a dash in
 * its name, and would take the next word for its value.
 */
function joinSwitches(argv: readonly string[]): readonly string[] {
  const end = argv.includes("--") ? argv.indexOf("--") : argv.length;
  const isGiven = (i: number): boolean => i >= 0 && i < end && SWITCHES.has(argv[i] ?? "");
  return argv.flatMap((word, i) => {
    if (isGiven(i - 1) && isTruth(word)) return [];
    if (!isGiven(i)) return [word];
    const next = argv[i + 1] ?? "";
    return [`${word}=${isTruth(next) ? next : "true"}`];
  });
}

/** `--no-…` is the parser's own business. */
const SWITCHES: ReadonlySet<string> = new Set(
  Object.values(SETTINGS)
    .filter(({ flag, argument }) => argument === undefined && !flag.startsWith("no-"))
    .map(({ flag }) => `--${flag}`),
);

function isTruth(word: string): boolean {
  return word === "true" || word === "false";
}

function guard(argument: string): string {
  const [, flag, value] = /^(--[A-Za-z][^=]*)=(.*)$/s.exec(argument) ?? [];
  if (flag !== undefined && value !== undefined) return `${flag}=${guardValue(flag, value)}`;
  return /^--?[A-Za-z]|^--$/.test(argument) ? argument : guardWord(argument);
}

/** A switch takes `true` and `false` only; cac would make a surplus argument of anything else. */
function guardValue(flag: string, value: string): string {
  const isSwitch = Object.values(SETTINGS).some(
    (setting) => `--${setting.flag}` === flag && setting.argument === undefined,
  );
  if (!isSwitch) return GUARD + value;
  if (isTruth(value)) return value;
  throw usage(`${flag} is a switch and takes true or false`);
}

/** Words that may be a command stay as they are, or cac would not know them. */
function guardWord(word: string): string {
  return /^[A-Za-z][A-Za-z-]*$/.test(word) ? word : GUARD + word;
}

function unguard(text: string): string {
  return text.startsWith(GUARD) ? text.slice(GUARD.length) : text;
}

function readFlags(command: CommandName, options: Readonly<Record<string, unknown>>): Flags {
  const known = new Map(
    [...settingsOf(command)].map(([name, setting]) => [setting.flag, { name, setting }]),
  );
  const flags: Partial<Record<SettingName, string>> = {};
  for (const [key, value] of Object.entries(options)) {
    if (key === "--" || value === undefined) continue;
    const flag = key === LEDGERLESS ? NO_LEDGER : kebab(key);
    const match = known.get(flag);
    if (!match) throw unknownFlag(command, flag, [...known.keys()]);
    flags[match.name] = readValue(match.setting, value);
  }
  return flags;
}

function readValue(setting: Setting, value: unknown): string {
  if (Array.isArray(value)) throw usage(`--${setting.flag} is given twice`);
  if (setting.argument === undefined) return unguard(String(value));
  const text = typeof value === "string" ? unguard(value) : "";
  if (text === "") throw usage(`--${setting.flag} needs a value: ${setting.argument}`);
  return text;
}

/** cac camel-cases what it parsed. */
function kebab(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function unknownCommand(word: string): HeadgateError {
  const suggestion = nearest(word, [...Object.keys(COMMANDS), ...Object.keys(ALIASES)]);
  return usage(`"${word}" is no command`, suggestion && `Did you mean "headgate ${suggestion}"?`);
}

function unknownFlag(command: CommandName, flag: string, known: readonly string[]): HeadgateError {
  const suggestion = nearest(flag, known);
  return usage(
    `${command} has no flag --${flag}`,
    suggestion ? `Did you mean --${suggestion}?` : `Run "headgate ${command} --help"`,
  );
}
