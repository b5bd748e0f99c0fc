/** What needs no table of Unicode. */

const LAST = 0x7f;

/** True for most names and passwords; a pattern for this would cost as much as what it saves. */
export function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i += 1) {
    if (text.charCodeAt(i) > LAST) return false;
  }
  return true;
}
