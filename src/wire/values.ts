/** Columns and values in the text format, as the general client reads them: by the type's number. */
import type { Row } from "../ports.ts";
import type { Fields } from "./reader.ts";

/** A column of an answer. */
export interface Column {
  readonly name: string;
  /** The type's number in `pg_type`. */
  readonly type: number;
}

const TEXT: TextDecoder = new TextDecoder();
/** Attribute number, after the table's number. */
const SKIP_BEFORE_TYPE = 6;
/** Type length, modifier and format, after the type's number. */
const SKIP_AFTER_TYPE = 8;
const NULL = -1;

/** `pg_type.oid` to what a text of that type becomes; every other type stays a text, bigint too. */
const READERS: Readonly<Record<number, (text: string) => unknown>> = {
  16: (text) => text === "t",
  21: Number,
  23: Number,
  26: Number,
  114: (text) => JSON.parse(text),
  700: Number,
  701: Number,
  1082: (text) => new Date(text),
  1114: (text) => new Date(text),
  1184: (text) => new Date(text),
  3802: (text) => JSON.parse(text),
};

/** Section "RowDescription". */
export function readColumns(fields: Fields): readonly Column[] {
  return Array.from({ length: fields.int16() }, () => {
    const name = fields.text();
    fields.bytes(SKIP_BEFORE_TYPE);
    const type = fields.int32();
    fields.bytes(SKIP_AFTER_TYPE);
    return { name, type };
  });
}

/** Section "DataRow". */
export function readRow(fields: Fields, columns: readonly Column[]): Row {
  fields.int16();
  return Object.fromEntries(
    columns.map(({ name, type }) => {
      const length = fields.int32();
      if (length === NULL) return [name, null];
      const text = TEXT.decode(fields.bytes(length));
      return [name, READERS[type]?.(text) ?? text];
    }),
  );
}
