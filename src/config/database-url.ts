/**
 * Database URLs, read more generously than RFC 3986 and libpq do: a password may hold any character,
 * escaped or raw, because people paste what a generator gave them. Three rules make that decidable:
 *
 * (1) The query begins at the first `?` where the text before it ends in a valid place (hosts, then
 *     perhaps a database) and the text after it is a list of `key=value` whose first key is a known
 *     parameter, or in which no `@` follows.
 * (2) User information ends at the last `@` before the query. Hosts and database hold no raw `@`, so
 *     that a part of a password is never taken for a name and shown.
 * (3) Escapes are decoded when every `%` begins one and the whole is valid UTF-8; else the part is taken
 *     as it is. `+` is never a space.
 */

import { isKnownParameter, type ReadParameters, sortParameters } from "./parameters.ts";
import { settingsError } from "./settings-error.ts";
import { readPair, readPlace, readScheme, type UrlPlace } from "./url-place.ts";

const HINT =
  "Expected postgres://user:password@host:5432/database, with the password's special characters as %XX, or PGHOST, PGUSER, PGDATABASE and PGPASSWORD";

/**
 * Reads a URL into parameters by libpq's names. What the URL does not say is missing from the settings.
 * Surrounding white space is dropped: secrets often end in a line end.
 *
 * @throws {HeadgateError} config-invalid, naming `variable` and nothing of the text
 * @example
 * ```ts
 * parseDatabaseUrl("postgres://app:p@ss/word@db/shop", "DATABASE_URL").settings.password?.value; // "p@ss/word"
 * ```
 */
export function parseDatabaseUrl(text: string, variable: string): ReadParameters {
  const url = text.trim();
  const scheme = readScheme(url);
  if (scheme === undefined) throw notPostgres(url, variable);
  const { head, query } = splitQuery(url.slice(scheme.length));
  const end = head.lastIndexOf("@");
  const place = readPlace(head.slice(end + 1));
  if (place === undefined || url.includes("\0")) {
    throw settingsError(`${variable} is not a well-formed PostgreSQL URL`, HINT);
  }
  const pairs = [
    ...userPairs(head.slice(0, Math.max(end, 0))),
    ...hostPairs(place),
    ["dbname", decodePercent(place.database)] as const,
    ...queryPairs(query),
  ];
  return sortParameters(pairs, (name) => `${name} in ${variable}`);
}

/** Decodes `%XX` when that is possible for the whole text and gives no NUL, which no string here may hold. */
export function decodePercent(text: string): string {
  try {
    const decoded = decodeURIComponent(text);
    return decoded.includes("\0") ? text : decoded;
  } catch {
    return text;
  }
}

function notPostgres(url: string, variable: string): Error {
  const hint = /^["']/.test(url) ? "Remove the quotes around the value" : HINT;
  return settingsError(`${variable} is not a PostgreSQL URL`, hint);
}

function splitQuery(rest: string): { readonly head: string; readonly query: string } {
  for (let at = rest.indexOf("?"); at !== -1; at = rest.indexOf("?", at + 1)) {
    const [head, query] = [rest.slice(0, at), rest.slice(at + 1)];
    if (readPlace(head.slice(head.lastIndexOf("@") + 1)) && isQuery(query)) return { head, query };
  }
  return { head: rest, query: "" };
}

function isQuery(text: string): boolean {
  const names = segments(text).map((segment) => readPair(segment)?.[0]);
  const [first] = names;
  if (first === undefined) return text === "";
  return !names.includes(undefined) && (isKnownParameter(first) || !text.includes("@"));
}

function segments(query: string): readonly string[] {
  return query.split("&").filter((segment) => segment !== "");
}

type Pair = readonly [name: string, value: string];

function queryPairs(query: string): readonly Pair[] {
  return segments(query).map((segment): Pair => {
    const [name, value] = readPair(segment) ?? ["", ""];
    return [name, decodePercent(value)];
  });
}

/** The user ends at the first `:`, so that a password may hold more of them. */
function userPairs(info: string): readonly Pair[] {
  const colon = info.indexOf(":");
  if (colon === -1) return [["user", decodePercent(info)]];
  return [
    ["user", decodePercent(info.slice(0, colon))],
    ["password", decodePercent(info.slice(colon + 1))],
  ];
}

/** Hosts and ports as libpq's two parallel lists; no port at all leaves the list to other sources. */
function hostPairs({ hosts }: UrlPlace): readonly Pair[] {
  const names = hosts.map(({ host }) => decodePercent(host)).join(",");
  const ports = hosts.map(({ port }) => port).join(",");
  const onlyCommas = hosts.length - 1;
  return [
    ["host", names.length > onlyCommas ? names : ""],
    ["port", ports.length > onlyCommas ? ports : ""],
  ];
}
