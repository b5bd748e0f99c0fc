/** Digests that identify a migration, its history and a bundle. The only module of `core/` with a package. */

import { createHash } from "node:crypto";

/**
 * Drops a leading byte-order mark and makes every line end LF, so that an editor or a Git setting that changes
 * them does not change a checksum.
 */
export function normalise(text: string): string {
  return text.replace(/^\uFEFF/, "").replace(/\r\n?/g, "\n");
}

/** SHA-256 of a text as UTF-8, lower-case hex. The text is normalised already. */
export function checksumOf(normalisedText: string): string {
  return createHash("sha256").update(normalisedText, "utf8").digest("hex");
}

/** SHA-256 of plain data whose keys stand in a fixed order, lower-case hex. */
export function fingerprintOf(data: unknown): string {
  return checksumOf(JSON.stringify(data));
}

/**
 * History of a migration: SHA-256 over the history before it ("" for the first), its version and its checksum, one
 * a line. Equal histories prove that everything up to here is equal.
 */
export function historyAfter(previousHistory: string, version: number, checksum: string): string {
  return checksumOf(`${previousHistory}\n${version}\n${checksum}`);
}
