/** Columns and values in the text format, as the general client reads them: by the type's number. */
import type { Row } from "../ports.ts";
import type { Fields } from "./reader.ts";
import { decode } from "./text.ts";

/** A column of an answer. */
export interface Column {
  readonly name: string;
  /** The type's number in `pg_type`. */
  readonly type: number;
}

/** Attribute number, after the table's number. */
const SKIP_BEFORE_TYPE = 6;
/** Type length, modifier and format, after the type's number. */
const SKIP_AFTER_TYPE = 8;
const NULL = -1;

const BOOL = 16;
const INT2 = 21;
const INT4 = 23;
const OID = 26;
const JSON_TEXT = 114;
const FLOAT4 = 700;
const FLOAT8 = 701;
const DATE = 1082;
const TIMESTAMP = 1114;
const TIMESTAMPTZ = 1184;
const JSONB = 3802;

/** Section "RowDescription". */
export function readColumns(fields: Fields): readonly Column[] {
  const columns: Column[] = [];
  for (let left = fields.int16(); left > 0; left -= 1) {
    const name = fields.text();
    fields.bytes(SKIP_BEFORE_TYPE);
    const type = fields.int32();
    fields.bytes(SKIP_AFTER_TYPE);
    columns.push({ name, type });
  }
  return columns;
}

/** Section "DataRow". */
export function readRow(fields: Fields, columns: readonly Column[]): Row {
  fields.int16();
  const row: Record<string, unknown> = {};
  for (const { name, type } of columns) {
    const length = fields.int32();
    row[name] = length === NULL ? null : toValue(type, decode(fields.bytes(length)));
  }
  return row;
}

/** By `pg_type.oid`; what has no case stays a text, bigint too. */
function toValue(type: number, text: string): unknown {
  switch (type) {
    case BOOL:
      return text === "t";
    case INT2:
    case INT4:
    case OID:
    case FLOAT4:
    case FLOAT8:
      return Number(text);
    case JSON_TEXT:
    case JSONB:
      return JSON.parse(text);
    case DATE:
    case TIMESTAMP:
    case TIMESTAMPTZ:
      return new Date(text);
    default:
      return text;
  }
}
