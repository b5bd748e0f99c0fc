/** How a setting's text becomes its value. Plain functions: a probe reads a dozen of them at every start. */

/** Reads one text. */
export interface Reader<T> {
  /** Undefined: it is not what it must be. */
  readonly read: (text: string) => T | undefined;
  /** What the text must be, for an error; it never shows what it was. */
  readonly must: string;
}

/** One for each value; a value that may be missing has one for when it is there. */
export type Readers<T> = { readonly [Name in keyof T]-?: Reader<Exclude<T[Name], undefined>> };

/** Blanks around a text do not count. */
export function reader<T>(parse: (text: string) => T | undefined, must: string): Reader<T> {
  return { read: (text) => parse(text.trim()), must };
}

/** Some words, in any case. */
export function choice<const T extends string>(...words: readonly T[]): Reader<T> {
  return {
    read: (text) => {
      const given = text.trim().toLowerCase();
      return words.find((word) => word === given);
    },
    get must() {
      return `must be ${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
    },
  };
}

/** true, 1, yes, on; false, 0, no, off; in any case. */
export const toBoolean: Reader<boolean> = reader((text) => {
  const word = text.toLowerCase();
  if (TRUE.includes(word)) return true;
  return FALSE.includes(word) ? false : undefined;
}, "must be true or false");

/** Words for yes. */
export const TRUE: readonly string[] = ["true", "1", "yes", "on"];
/** Words for no. */
export const FALSE: readonly string[] = ["false", "0", "no", "off"];

/** A file or a folder. */
export const toPath: Reader<string> = reader(
  (text) => text || undefined,
  "must name a file or folder",
);
