/** Takes secrets out of texts that leave the process: logs, errors, reports. */

import type { Target } from "../core/target.ts";

const MASK = "***";
/** A shorter secret occurs by chance in any text; masking it everywhere would destroy the text. */
const MIN_LENGTH = 4;

/**
 * Up to the last `@` before a blank or a quote, else before a blank: a raw password may hold any of them,
 * and to hide too much is safe, but one field of a JSON line shall not swallow the next.
 */
const USER_INFO = /\b([a-z][a-z0-9+.-]{0,40}:\/\/)(?:\\.|[^\s"\\])*@/gi;
const WIDE_USER_INFO = /\b([a-z][a-z0-9+.-]{0,40}:\/\/)(?!\*{3}@)\S*@/gi;
/** As in a query of a URL or a connection string; quoted values may hold blanks. */
const PASSWORD_VALUE = /\b((?:ssl)?password\s*=\s*)(?:'(?:\\.|[^'\\])*'|(?:\\.|[^\s&'"\\])+)/gi;

/** What of a target must never be shown. */
export function secretsOf(target: Pick<Target, "password" | "sslKey">): readonly string[] {
  return [target.password ?? "", target.sslKey ?? ""].filter((secret) => secret !== "");
}

/**
 * Masks every known secret, the user information of every URL and every `password=` value. A secret is
 * found raw, percent-encoded, JSON-encoded and in any mix of these; one of fewer than 4 characters only
 * where it stands as `user:secret@`.
 *
 * @example
 * ```ts
 * redact("cannot reach postgres://app:pw@db/shop", []); // "cannot reach postgres://***@db/shop"
 * ```
 */
export function redact(text: string, secrets: readonly string[]): string {
  const longestFirst = [...secrets].sort((a, b) => b.length - a.length);
  const masked = longestFirst.reduce(maskSecret, text);
  return masked
    .replace(USER_INFO, `$1${MASK}@`)
    .replace(WIDE_USER_INFO, `$1${MASK}@`)
    .replace(PASSWORD_VALUE, `$1${MASK}`);
}

function maskSecret(text: string, secret: string): string {
  if (secret === "") return text;
  const replacement = secret.length >= MIN_LENGTH ? MASK : `$1${MASK}`;
  return text.replace(patternOf(secret), replacement);
}

/** A run has few secrets and writes many lines. */
const PATTERNS = new Map<string, RegExp>();

function patternOf(secret: string): RegExp {
  const known = PATTERNS.get(secret);
  if (known) return known;
  const forms = [...secret].map(anyFormOf).join("");
  const source = secret.length >= MIN_LENGTH ? forms : `([^\\s:@/]:)${forms}(?=@)`;
  const pattern = new RegExp(source, "g");
  PATTERNS.set(secret, pattern);
  return pattern;
}

/** A pattern for one character: raw, as UTF-8 escapes with either case of hex digits, or as in JSON. */
function anyFormOf(character: string): string {
  const raw = literal(character);
  const json = literal(JSON.stringify(character).slice(1, -1));
  const space = character === " " ? "|\\+" : "";
  return `(?:${raw}|${percentForm(character)}|${json}${space})`;
}

function percentForm(character: string): string {
  const bytes = [...new TextEncoder().encode(character)];
  return bytes
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .map((hex) => `%${hex.replace(/[a-f]/g, (digit) => `[${digit}${digit.toUpperCase()}]`)}`)
    .join("");
}

function literal(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
}
