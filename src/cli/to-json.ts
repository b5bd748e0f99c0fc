/** The envelope of every `--json`. */

/** One object per run; `v` changes when a field changes its meaning or goes. */
export function toJson(command: string, fields: Readonly<Record<string, unknown>>): string {
  return `${JSON.stringify({ v: 1, command, ...fields })}\n`;
}
