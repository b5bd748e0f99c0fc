/** What a row must hold, column by column. Plain checks: every probe makes them. */
import type { Row } from "../ports.ts";

/** A table of that name has another shape, or a newer layout. */
export class ShapeError extends Error {
  constructor(column: string, must: string) {
    super(`column ${column} must hold ${must}`);
    this.name = "ShapeError";
  }
}

/** A text. @throws {ShapeError} */
export function textIn(row: Row, column: string): string {
  const value = row[column];
  if (typeof value === "string") return value;
  throw new ShapeError(column, "a text");
}

/** True or false. @throws {ShapeError} */
export function flagIn(row: Row, column: string): boolean {
  const value = row[column];
  if (typeof value === "boolean") return value;
  throw new ShapeError(column, "true or false");
}

/** A bigint comes as text. @throws {ShapeError} */
export function numberIn(row: Row, column: string): number {
  const value = row[column];
  const number =
    typeof value === "string" || typeof value === "number" ? Number(value) : Number.NaN;
  if (Number.isSafeInteger(number)) return number;
  throw new ShapeError(column, "a whole number");
}

/** A point in time. @throws {ShapeError} */
export function momentIn(row: Row, column: string): Date {
  const value = row[column];
  if (value instanceof Date && !Number.isNaN(value.getTime())) return value;
  throw new ShapeError(column, "a point in time");
}

/** One of these words. @throws {ShapeError} */
export function wordIn<const T extends string>(row: Row, column: string, words: readonly T[]): T {
  const word = words.find((each) => each === row[column]);
  if (word !== undefined) return word;
  throw new ShapeError(column, words.join(", "));
}

/** Null, or what `read` finds. @throws {ShapeError} */
export function orNull<T>(
  row: Row,
  column: string,
  read: (row: Row, column: string) => T,
): T | null {
  return row[column] === null ? null : read(row, column);
}
