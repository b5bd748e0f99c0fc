/** The help texts. The README's usage block is this text. */
import { COMMANDS, type CommandName } from "../config/commands.ts";
import type { Setting } from "../config/settings.ts";
import { SIGNATURES } from "./operands.ts";
import { settingsOf } from "./parse-argv.ts";

const COLUMN = 30;

const ENVIRONMENT = `Database (first that is set wins; each also as NAME_FILE):
  HEADGATE_DATABASE_URL, DATABASE_URL, else PG* as libpq reads them
  HEADGATE_MIGRATION_DATABASE_URL, MIGRATION_DATABASE_URL: the gate's way past a pooler`;

const STATUSES = `Exit status: 0 done or at head, 1 unexpected, 2 usage or configuration, 3 behind,
  4 failed or interrupted, 5 drift, 6 gate not acquired in time, 7 database unreachable or
  refused, 8 ahead, 9 seeding failed, 130/143 signals. probe answers 0 or 1 and nothing else.`;

/** The overview, or the flags of one command. Ends in a line end. */
export function renderHelp(topic: CommandName | undefined): string {
  return topic === undefined ? renderOverview() : renderCommand(topic);
}

function renderOverview(): string {
  const commands = Object.entries(COMMANDS).map(([name, help]) => row(name, help));
  return `headgate brings a PostgreSQL schema to its head exactly once.

Usage: headgate <command> [flags]

${commands.join("\n")}

${row("headgate <command> --help", "flags of a command")}

${ENVIRONMENT}

${STATUSES}
`;
}

function renderCommand(command: CommandName): string {
  const argument = SIGNATURES[command] ?? "";
  const flags = [...settingsOf(command).values()].map(renderFlag);
  return `${COMMANDS[command]}

Usage: headgate ${command}${argument} [flags]

${flags.join("\n")}
`;
}

function renderFlag(setting: Setting): string {
  const flag = `--${setting.flag}${setting.argument === undefined ? "" : ` ${setting.argument}`}`;
  const notes = [setting.variables.join(", ")];
  if (setting.argument !== undefined && setting.default !== undefined) {
    const others = Object.entries(setting.defaults ?? {}).map(([name, text]) => `${name} ${text}`);
    notes.push([`default ${setting.default}`, ...others].join(", "));
  }
  const note = notes.filter((text) => text !== "").join("; ");
  return `${row(flag, setting.help)}${note === "" ? "" : `\n${" ".repeat(COLUMN + 2)}${note}`}`;
}

function row(left: string, right: string): string {
  const gap =
    left.length < COLUMN ? " ".repeat(COLUMN - left.length) : `\n${" ".repeat(COLUMN + 2)}`;
  return `  ${left}${gap}${right}`;
}
