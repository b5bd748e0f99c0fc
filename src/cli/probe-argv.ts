/** The command line of a probe, as long as it is a plain one. */
import { ALIASES } from "../config/commands.ts";
import { PROBE_SETTINGS, type ProbeFlag } from "../config/probe-settings.ts";
import type { Flags } from "../config/read-settings.ts";

/**
 * The flags behind `probe`, each known and given once. Anything else is for the whole parser, which
 * knows what is wrong with it; `test/unit/probe-argv.test.ts` shows that both read the same.
 *
 * @returns Undefined: not a plain probe.
 */
export function probeFlags([command, ...words]: readonly string[]): Flags | undefined {
  if (command !== "probe" && (command === undefined || aliasOf(command) !== "probe")) return;
  const flags: Partial<Record<ProbeFlag, string>> = {};
  while (words.length > 0) {
    const given = takeFlag(words);
    if (given === undefined || given.name in flags) return;
    flags[given.name] = given.value;
  }
  return flags;
}

function aliasOf(word: string): string | undefined {
  return Object.hasOwn(ALIASES, word) ? ALIASES[word] : undefined;
}

/** Takes `--flag value`, `--flag=value`, `--switch` or `--switch true` from the words. */
function takeFlag(
  words: string[],
): { readonly name: ProbeFlag; readonly value: string } | undefined {
  const word = words.shift() ?? "";
  const end = word.includes("=") ? word.indexOf("=") : word.length;
  const name = nameOf(word.slice(0, end));
  if (name === undefined) return undefined;
  const isSwitch = PROBE_SETTINGS[name].argument === undefined;
  const value = end < word.length ? word.slice(end + 1) : nextValue(words, isSwitch);
  return isValue(value, isSwitch) ? { name, value } : undefined;
}

function nameOf(flag: string): ProbeFlag | undefined {
  const names = Object.keys(PROBE_SETTINGS) as readonly ProbeFlag[];
  return names.find((name) => flag === `--${PROBE_SETTINGS[name].flag}`);
}

function nextValue(words: string[], isSwitch: boolean): string | undefined {
  const [next = ""] = words;
  if (isSwitch) return isTruth(next) ? words.shift() : "true";
  return next.startsWith("-") ? undefined : words.shift();
}

function isValue(value: string | undefined, isSwitch: boolean): value is string {
  return value !== undefined && (isSwitch ? isTruth(value) : value !== "");
}

function isTruth(word: string): boolean {
  return word === "true" || word === "false";
}
