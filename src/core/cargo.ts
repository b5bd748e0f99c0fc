/**
 * What a compiled headgate carries behind its own code: another bundle's migrations and seeds, and at the very end a
 * seal, one line of a fixed length. Every compiled headgate has a seal, also one that carries nothing, so that a
 * file that lost its end is never taken for one with the default bundle.
 *
 *   executable | cargo: one line of JSON for who only asks for the head, one with the files | seal
 *
 * A reader needs no digest of its own here: `probe` must not load one.
 */
import type { SourceFile } from "./bundle.ts";
import type { Head } from "./head.ts";

/** The last line: how long the cargo is, and its SHA-256. */
export interface Seal {
  /** In bytes; 0: the executable has the default bundle. */
  readonly size: number;
  readonly digest: string;
}

/** What is carried. */
export interface Cargo {
  /** Of the migrations, so that a probe need not compute it. */
  readonly head: Head;
  readonly migrations: readonly SourceFile[];
  readonly seeds: readonly SourceFile[];
}

const MARK = "headgate-seal";
const LAYOUT = 1;
const SIZE_DIGITS = 15;
const PATTERN: RegExp = /^\nheadgate-seal 1 (\d{15}) ([0-9a-f]{64})\n$/;

/** As the line is written. */
export function renderSeal({ size, digest }: Seal): string {
  return `\n${MARK} ${LAYOUT} ${String(size).padStart(SIZE_DIGITS, "0")} ${digest}\n`;
}

/** Of no bytes. */
const EMPTY: Seal = {
  size: 0,
  digest: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
};

/** Of an executable that carries nothing. */
export const EMPTY_SEAL: string = renderSeal(EMPTY);

/** In bytes, which are characters here. */
export const SEAL_LENGTH: number = EMPTY_SEAL.length;

/** Undefined: these are not the last bytes of a whole headgate. */
export function parseSeal(text: string): Seal | undefined {
  if (text === EMPTY_SEAL) return EMPTY;
  const [, size, digest] = PATTERN.exec(text) ?? [];
  return size === undefined || digest === undefined ? undefined : { size: Number(size), digest };
}

/** As it is written, to be sealed with its digest. */
export function renderCargo({ head, migrations, seeds }: Cargo): string {
  return `${JSON.stringify(head)}\n${JSON.stringify({ migrations, seeds })}\n`;
}

/** The head alone; `text` is a cargo whose digest is right. */
export function headOfCargo(text: string): Head {
  return JSON.parse(text.slice(0, text.indexOf("\n"))) as Head;
}

/** All of it. */
export function parseCargo(text: string): Cargo {
  const files = JSON.parse(text.slice(text.indexOf("\n"))) as Omit<Cargo, "head">;
  return { head: headOfCargo(text), ...files };
}
