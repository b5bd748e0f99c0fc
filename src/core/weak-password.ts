/** Passwords that anybody would try first. */

const MIN_LENGTH = 8;
const DIGITS = "01234567890123456789";
/** Without what a person appends to satisfy a policy. */
const PLACEHOLDERS: ReadonlySet<string> = new Set([
  "admin",
  "administrator",
  "changeit",
  "changeme",
  "changethis",
  "default",
  "example",
  "letmein",
  "p@ssw0rd",
  "p@ssword",
  "passw0rd",
  "password",
  "platformadmin",
  "qwerty",
  "replaceme",
  "root",
  "secret",
  "welcome",
]);

/**
 * Why a password is weak, as the end of a sentence that begins with its variable; undefined when it is
 * not. Never holds the password.
 *
 * @example
 * ```ts
 * weaknessOf("ChangeMe123!", "admin@example.com"); // "is a well-known placeholder"
 * ```
 */
export function weaknessOf(password: string, email: string): string | undefined {
  const word = password.trim().toLowerCase();
  if (isPlaceholder(word)) return "is a well-known placeholder";
  if (isFromEmail(word, email.toLowerCase())) return "is the e-mail address or its local part";
  if ([...password].length < MIN_LENGTH) return `has fewer than ${MIN_LENGTH} characters`;
  return undefined;
}

/** In any spelling: `Change-Me`, `change_me!`, `CHANGEME2024`. */
function isPlaceholder(word: string): boolean {
  const plain = word.replace(/[\s._-]/g, "");
  return PLACEHOLDERS.has(stem(plain)) || DIGITS.includes(plain.replace(/!+$/, ""));
}

function isFromEmail(word: string, email: string): boolean {
  const known = [email, email.replace(/@.*$/, "")];
  return known.includes(word) || known.includes(stem(word));
}

function stem(word: string): string {
  return word.replace(/[\d!]+$/, "");
}
