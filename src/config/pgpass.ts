/** libpq's password file: `host:port:database:user:password`, first match wins. */

/** What a line of a password file must match. */
export interface PasswordQuery {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
}

/** Where builds of PostgreSQL put their sockets; libpq looks for them under `localhost`. */
const DEFAULT_SOCKET_DIRECTORIES: readonly string[] = [
  "/tmp",
  "/var/run/postgresql",
  "/run/postgresql",
];

/**
 * Finds the password for a connection. In a field a backslash takes the next character as it is, and a
 * field that is `*` alone matches anything; a password ends at the line's end or at an unescaped `:`.
 * A line that is empty, a comment or short of fields never matches. The file's mode is not looked at:
 * a mounted Kubernetes secret is often readable to a group, and libpq would drop it with a warning.
 */
export function findPassword(text: string, query: PasswordQuery): string | undefined {
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith("#")) continue;
    const [host, port, database, user, password] = splitFields(line);
    const isMatch =
      matchesHost(host, query.host) &&
      matches(port, String(query.port)) &&
      matches(database, query.database) &&
      matches(user, query.user);
    if (isMatch && password !== undefined && password !== "") return plain(password);
  }
  return undefined;
}

/** Fields with their escapes still in place, so that `\*` is no wildcard. */
function splitFields(line: string): readonly string[] {
  const fields = [""];
  for (const [part] of line.matchAll(/\\.|[^\\]|\\$/gsu)) {
    if (part === ":") fields.push("");
    else fields[fields.length - 1] += part;
  }
  return fields;
}

function matchesHost(field: string | undefined, host: string): boolean {
  if (matches(field, host)) return true;
  return DEFAULT_SOCKET_DIRECTORIES.includes(host) && matches(field, "localhost");
}

function matches(field: string | undefined, value: string): boolean {
  return field !== undefined && (field === "*" || plain(field) === value);
}

function plain(field: string): string {
  return field.replace(/\\(.)/gsu, "$1");
}
