/** The file that `--env-file` names. */
import { settingsError } from "./settings-error.ts";

const LINE: RegExp = /^(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)$/;

/**
 * `KEY=value` lines; blank lines and `#` comments are skipped, one pair of quotes around a value is
 * taken off, and nothing is expanded.
 *
 * @throws {HeadgateError} `config-invalid` naming the line's number, never its text
 */
export function parseEnvFile(text: string, source: string): Readonly<Record<string, string>> {
  const entries: [string, string][] = [];
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    const match = LINE.exec(line);
    if (!match)
      throw settingsError(`line ${index + 1} of the file that ${source} names is not KEY=value`);
    entries.push([match[1] ?? "", unquote(match[2] ?? "")]);
  }
  return Object.fromEntries(entries);
}

function unquote(value: string): string {
  const quote = value[0];
  const isQuoted = value.length > 1 && (quote === '"' || quote === "'") && value.endsWith(quote);
  return isQuoted ? value.slice(1, -1) : value;
}
