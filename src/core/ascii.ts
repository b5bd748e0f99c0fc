/** What needs no table of Unicode, and no pattern: both cost a probe more than what they look at. */

const LAST = "\x7f";
/** 0 to 9. */
export const DIGITS = "0123456789";
/** a to z. */
export const LOWER_CASE = "abcdefghijklmnopqrstuvwxyz";
const LETTERS_AND_DIGITS = `${LOWER_CASE}${DIGITS}ABCDEFGHIJKLMNOPQRSTUVWXYZ`;

/** True for most names and passwords. */
export function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i += 1) {
    if (text.charAt(i) > LAST) return false;
  }
  return true;
}

/** Whether all its characters are among these: letters and digits of ASCII, unless others are named, and some more. */
export function isMadeOf(text: string, more: string, base: string = LETTERS_AND_DIGITS): boolean {
  for (let i = 0; i < text.length; i += 1) {
    const each = text.charAt(i);
    if (!base.includes(each) && !more.includes(each)) return false;
  }
  return true;
}
