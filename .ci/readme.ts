/**
 * Rewrites the blocks of README.md that repeat what the code says: usage, flags, variables, events
 * and exit statuses, what the last full bench measured, and what the last full kill matrix found. Run it after changing one of these: `bun .ci/readme.ts`.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EXIT_STATUS } from "../src/cli/exit-status.ts";
import { renderHelp } from "../src/cli/help.ts";
import { COMMANDS } from "../src/config/commands.ts";
import { SEED_VARIABLES, type SeedVariable } from "../src/config/seed-variables.ts";
import { SETTINGS, type Setting } from "../src/config/settings.ts";
import type { ErrorCode } from "../src/core/error.ts";
import { EVENTS } from "../src/core/events.ts";
import { renderReadme } from "../test/bench/report.ts";
import figures from "../test/bench/summary.json" with { type: "json" };
import { renderSummary } from "../test/matrix/report.ts";
import summary from "../test/matrix/summary.json" with { type: "json" };

const README: string = join(import.meta.dirname, "../README.md");

/** What each code means to an operator. A code without a sentence does not compile. */
const MEANINGS: Readonly<Record<ErrorCode, string>> = {
  unexpected: "A defect of headgate, reported with its stack",
  usage: "The command line names no command, an unknown flag, or a bad value",
  "config-invalid": "A variable, flag or file of settings is wrong",
  "bundle-invalid": "The migrations cannot be used, or one that would run is refused",
  behind: "Migrations are pending where none may be applied",
  "migration-failed": "The server refused a migration, or two addresses lead to two databases",
  interrupted: "A ledger row is not finished and nobody works on it",
  refused: "`locks release` or `resolve` would touch what lives or is not there; nothing was done",
  drifted: "The ledger and the bundle disagree on history",
  "seed-failed": "Seeding failed; with `up`, the migrations are done and stay",
  "gate-timeout": "`--lock-wait` passed without progress",
  "deadline-passed": "`--deadline` passed; with `wait`, the schema was not ready until then",
  unreachable: "The server cannot be reached, refuses, or its ledger table is of another shape",
  "privilege-missing": "The role lacks a privilege (SQLSTATE 42501)",
  ahead: "The database is ahead, and the policy or a `breaking` row forbids it",
  sigint: "Stopped by SIGINT",
  sigterm: "Stopped by SIGTERM",
};

/** Every generated block by its name in the markers: `<!-- name:begin -->`, `<!-- name:end -->`. */
export const BLOCKS: Readonly<Record<string, () => string>> = {
  usage: renderUsage,
  flags: renderFlags,
  seeds: renderSeedVariables,
  exits: renderExits,
  events: renderEvents,
  cost: () => renderReadme(figures),
  matrix: () => renderSummary(summary),
};

/** The help text, fenced. */
export function renderUsage(): string {
  return `\`\`\`text\n${renderHelp(undefined)}\`\`\``;
}

/** One row per setting, in the order of the help. */
export function renderFlags(): string {
  return table(
    ["Flag", "Variable", "Default", "Commands", "Meaning"],
    Object.values(SETTINGS).map((setting: Setting) => [
      code(`--${setting.flag}${setting.argument === undefined ? "" : ` ${setting.argument}`}`),
      setting.variables.map(code).join(", "),
      defaultsOf(setting),
      commandsOf(setting),
      setting.help,
    ]),
  );
}

/** One row per variable of the gateway's that seeding reads. */
export function renderSeedVariables(): string {
  return table(
    ["Variable", "Default", "Meaning"],
    Object.entries<SeedVariable<unknown>>(SEED_VARIABLES).map(([name, variable]) => [
      code(name),
      variable.default ? code(variable.default) : "",
      variable.help,
    ]),
  );
}

/** One row per status and error code; a failing command says the code too. */
export function renderExits(): string {
  const codes = Object.entries(EXIT_STATUS) as [ErrorCode, number][];
  const failures = codes
    .sort(([, a], [, b]) => a - b)
    .map(([name, status]) => [String(status), code(name), MEANINGS[name]]);
  return table(["Status", "Code", "Meaning"], [["0", "", "Done, or at head"], ...failures]);
}

/** One row per event, in the order of the table in the code. */
export function renderEvents(): string {
  return table(
    ["Event", "Level", "Text"],
    Object.entries(EVENTS).map(([name, { level, message }]) => [code(name), level, message]),
  );
}

/**
 * The document with every block rewritten.
 *
 * @throws {Error} when a block's markers are missing, doubled or the wrong way round.
 */
export function withBlocks(
  document: string,
  blocks: Readonly<Record<string, () => string>> = BLOCKS,
): string {
  return Object.entries(blocks).reduce(
    (text, [name, render]) => withBlock(text, name, render()),
    document,
  );
}

function withBlock(document: string, name: string, content: string): string {
  const begin = `<!-- ${name}:begin -->`;
  const end = `<!-- ${name}:end -->`;
  const [before, inside, ...others] = document.split(begin);
  const parts = inside?.split(end) ?? [];
  if (others.length > 0 || parts.length !== 2 || before?.includes(end)) {
    throw new Error(`README.md must hold ${begin} and ${end} once each, in this order`);
  }
  return `${before}${begin}\n${content}\n${end}${parts[1]}`;
}

/** The default, and that of commands which have another one. */
function defaultsOf(setting: Setting): string {
  if (setting.default === undefined) return "";
  const others = Object.entries(setting.defaults ?? {}).map(
    ([name, text]) => `${code(text)} for ${name}`,
  );
  return [code(setting.default), ...others].join(", ");
}

function commandsOf({ commands }: Setting): string {
  return commands.length === Object.keys(COMMANDS).length ? "all" : commands.join(", ");
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(header), line(header.map(() => "---")), ...rows.map(line)].join("\n");
}

function code(text: string): string {
  return `\`${text}\``;
}

if (import.meta.main) {
  writeFileSync(README, withBlocks(readFileSync(README, "utf8")));
}
