/** Which migrations a run is about, with those that are embedded as the last choice. */
import { HEAD, loadEmbedded } from "../embed/source.ts";
import { openSource, type Source } from "../runtime/bundle-source.ts";
import type { Start } from "../runtime/cargo.ts";

/**
 * What a command judges the database by.
 *
 * @param start How the executable was started; undefined: headgate runs from source.
 * @throws {HeadgateError} `bundle-invalid` when the folder cannot be used or the executable is damaged
 */
export function sourceOf(folder: string | undefined, start: Start | undefined): Promise<Source> {
  return openSource({ folder, start, embedded: { HEAD, loadEmbedded } });
}
