/**
 * The parts of a database URL that have a grammar: scheme, hosts and ports, names of parameters. Read
 * letter by letter: patterns for this cost a probe as much as its whole login.
 */
import { DIGITS, isMadeOf } from "../core/ascii.ts";

/** One of the hosts, without brackets; the port is "" when there is none. */
export interface UrlHost {
  readonly host: string;
  readonly port: string;
}

/** What stands between the user and the query. */
export interface UrlPlace {
  readonly hosts: readonly UrlHost[];
  readonly database: string;
}

const NAMES: readonly string[] = ["postgres", "postgresql"];

/** `postgres://` and the like, in any case; `postgresql+psycopg://` is SQLAlchemy's way to name a driver. */
export function readScheme(url: string): string | undefined {
  const end = url.indexOf("://");
  const plus = url.slice(0, Math.max(end, 0)).indexOf("+");
  const isDriven = plus !== -1;
  const name = url.slice(0, isDriven ? plus : Math.max(end, 0)).toLowerCase();
  if (!NAMES.includes(name)) return undefined;
  const driver = isDriven ? url.slice(plus + 1, end) : "any";
  return driver !== "" && isMadeOf(driver, "_.-") ? url.slice(0, end + "://".length) : undefined;
}

/** Hosts, commas between them, and perhaps a database behind a slash. */
export function readPlace(text: string): UrlPlace | undefined {
  const slash = text.indexOf("/");
  const end = slash === -1 ? text.length : slash;
  const database = text.slice(end + 1);
  if (database.includes("?") || database.includes("@")) return undefined;
  const hosts: UrlHost[] = [];
  for (const item of text.slice(0, end).split(",")) {
    const host = readHost(item);
    if (host === undefined) return undefined;
    hosts.push(host);
  }
  return { hosts, database };
}

/** `key=value` with a key that a parameter may have. */
export function readPair(text: string): readonly [name: string, value: string] | undefined {
  const end = text.indexOf("=");
  const name = text.slice(0, Math.max(end, 0));
  const isName = name !== "" && !`${DIGITS}.-`.includes(name.charAt(0)) && isMadeOf(name, "_.-");
  return isName ? [name, text.slice(end + 1)] : undefined;
}

/** `name`, `name:5432`, `[::1]:5432`; the name may be empty. */
function readHost(item: string): UrlHost | undefined {
  const isBracketed = item.startsWith("[");
  const colon = item.indexOf(":");
  const nameEnd = colon === -1 ? item.length : colon;
  const end = isBracketed ? item.indexOf("]") + 1 : nameEnd;
  const [name, rest] = [item.slice(0, end), item.slice(end)];
  if (rest !== "" && !isPort(rest)) return undefined;
  const host = isBracketed ? name.slice(1, -1) : name;
  const isHost = isBracketed ? host !== "" && isLetters(host, ":.%_~-") : isHostName(host);
  return isHost ? { host, port: rest.slice(1) } : undefined;
}

function isPort(rest: string): boolean {
  return rest.startsWith(":") && isMadeOf(rest.slice(1), "", DIGITS);
}

/** Every `%` begins an escape. */
function isHostName(host: string): boolean {
  if (!host.includes("%")) return isLetters(host, "._~-");
  const [first = "", ...others] = host.split("%");
  const isEscaped = others.every(
    (part) => isHex(part.slice(0, 2)) && isLetters(part.slice(2), "._~-"),
  );
  return isLetters(first, "._~-") && isEscaped;
}

function isHex(text: string): boolean {
  return text.length === 2 && isMadeOf(text, "", `${DIGITS}abcdefABCDEF`);
}

/** Of any script; the class of all letters is only made for who needs it. */
function isLetters(text: string, others: string): boolean {
  if (isMadeOf(text, others)) return true;
  return new RegExp(`^[\\p{L}\\p{N}${others}]*$`, "u").test(text);
}
