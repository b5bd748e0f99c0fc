/** Slugs as the gateway makes them: it derives them again, and the two must agree. */

/** One apostrophe takes both of its neighbours: of `rock'n'roll` the second one stays. */
const CONTRACTION = /([\p{L}\p{N}_])['’]([\p{L}\p{N}_])/gu;
const GAP = /[^\p{L}\p{N}]+/gu;
/** Letters without a decomposition. */
const TO_ASCII: Readonly<Record<string, string>> = { æ: "ae", ß: "ss", ø: "o" };

/**
 * Letters and digits in lower-case ASCII, with `separator` between the words. What has no ASCII form is
 * dropped last, so that a text in another script may become empty, or begin with a separator.
 *
 * @example
 * ```ts
 * slugify("Platform Administrator's Team", "-"); // "platform-administrators-team"
 * ```
 */
export function slugify(text: string, separator: string): string {
  return text
    .toLowerCase()
    .replace(CONTRACTION, "$1$2")
    .split(GAP)
    .filter((word) => word !== "")
    .join(separator)
    .replace(/[æßø]/g, (letter) => TO_ASCII[letter] ?? "")
    .normalize("NFKD")
    .replace(/\P{ASCII}/gu, "");
}
