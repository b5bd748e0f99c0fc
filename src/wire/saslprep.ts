/**
 * SASLprep (RFC 4013) as PostgreSQL applies it to passwords: what it prohibits is no error, the
 * password is then used as it stands.
 */

/** RFC 3454 C.1.2: other spaces, which become a space. */
const SPACES = /[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/gu;
/** RFC 3454 B.1: mapped to nothing. */
const NOTHING = /[\u00ad\u1806\u200c\u2060\ufeff]|\u200d|\u034f|[\u180b-\u180d]|[\ufe00-\ufe0f]/gu;
/** RFC 3454 C.2 to C.9, and code points that Unicode has not assigned. */
const PROHIBITED =
  /[\p{Cc}\p{Cn}\p{Co}\p{Cs}\u06dd\u070f\u180e\u2028\u2029\u2061-\u2063\u206a-\u206f\ufff9-\ufffd\u2ff0-\u2ffb\u200e\u200f\u202a-\u202e\u{1d173}-\u{1d17a}\u{e0001}\u{e0020}-\u{e007f}]/u;
/** RFC 3454 D.1: right-to-left. */
const RIGHT_TO_LEFT = /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}]/u;
const LETTERS = /\p{L}/u;

/** An ASCII password stays as it is. */
export function saslprep(password: string): string {
  if (/^[\0-\x7f]*$/.test(password)) return password;
  const mapped = password.replace(SPACES, " ").replace(NOTHING, "").normalize("NFKC");
  const isUsable = mapped !== "" && !PROHIBITED.test(mapped) && isOneWay(mapped);
  return isUsable ? mapped : password;
}

/** RFC 3454 section 6: right-to-left text begins and ends so, and has no left-to-right letter. */
function isOneWay(text: string): boolean {
  if (!RIGHT_TO_LEFT.test(text)) return true;
  const letters = [...text];
  const isRight = (letter = ""): boolean => RIGHT_TO_LEFT.test(letter);
  return (
    isRight(letters[0]) &&
    isRight(letters.at(-1)) &&
    letters.every((letter) => isRight(letter) || !LETTERS.test(letter))
  );
}
