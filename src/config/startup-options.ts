/**
 * libpq's `options`, which a server reads like a command line. Poolers refuse it as a startup parameter
 * (PgBouncer: 08P01), so only the search path is taken out of it, to be set in each transaction.
 */

/** What `options` asks for. */
export interface StartupOptions {
  readonly searchPath: string | undefined;
  /** `options:statement_timeout` for a setting, `options` for anything else. */
  readonly ignored: readonly string[];
}

/**
 * Reads `-c name=value`, `-cname=value` and `--name=value`; the last search path wins. White space
 * separates, a backslash takes the next character as it is.
 *
 * @example
 * ```ts
 * parseStartupOptions("-c search_path=app,\\ public").searchPath; // "app, public"
 * ```
 */
export function parseStartupOptions(text: string): StartupOptions {
  if (text === "") return { searchPath: undefined, ignored: [] };
  let searchPath: string | undefined;
  const ignored = new Set<string>();
  for (const assignment of assignments(text)) {
    const [, name, value = ""] = /^([A-Za-z_][\w.-]*)=(.*)$/s.exec(assignment) ?? [];
    const setting = name?.toLowerCase().replaceAll("-", "_");
    if (setting === "search_path") searchPath = value;
    else ignored.add(setting === undefined ? "options" : `options:${setting}`);
  }
  return { searchPath: searchPath === "" ? undefined : searchPath, ignored: [...ignored] };
}

/** `name=value` of each setting; an empty text for anything else. */
function assignments(text: string): readonly string[] {
  const words = (text.match(/(?:\\.|[^\s\\])+/gsu) ?? []).map((word) =>
    word.replace(/\\(.)/gsu, "$1"),
  );
  return words.flatMap((word, index) => {
    if (words[index - 1] === "-c") return [word];
    if (word === "-c") return index === words.length - 1 ? [""] : [];
    return [/^(?:-c|--)(?=[^-])(.*)$/s.exec(word)?.[1] ?? ""];
  });
}
